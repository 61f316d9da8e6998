#!/usr/bin/env bash
# CTranslate2 4.8.5, TransformersConverter and ct2-transformers-converter, seen on 2026-11-28 (Linux, x86-64, Python
# 3.11, transformers 5.23.0):
#
# A GPT-2's config.json says layer_norm_epsilon, scale_attn_weights and scale_attn_by_inverse_layer_idx, which change
# what is computed. The converter passes over all three, without an error or a warning, and the converted model computes
# with 1e-5, true and false. A model that says so anyway gives transformers' log-probabilities; one with another value
# of any of the three gives others.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ctranslate2==4.8.5 transformers==5.23.0 torch==2.13.0 numpy==2.4.6
cd "$folder"
export CUDA_VISIBLE_DEVICES="" HF_HUB_OFFLINE=1
venv/bin/python - <<'PYTHON'
import json
import sys
from pathlib import Path

import ctranslate2
import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from tokenizers import Tokenizer, models

WORDS = ["<end>", *(f"w{number}" for number in range(31))]
IDS = [3, 14, 15, 9, 26, 5, 3, 5, 8]


def largest_difference(**settings):
    """Between transformers' and CTranslate2's log-probabilities of a text, in nats."""
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=32, n_positions=32, n_embd=32, n_layer=3, n_head=2, bos_token_id=0, eos_token_id=0, **settings)
    model = GPT2LMHeadModel._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim == 2:
                weights.mul_(8)  # so that attention has a preference
    name = "-".join(settings) or "usual"
    model.save_pretrained(name)
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<end>"))
    special = {"bos_token": "<end>", "eos_token": "<end>", "unk_token": "<end>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(name)
    saved = json.loads(Path(name, "config.json").read_text())
    assert all(saved[key] == value for key, value in settings.items())
    ctranslate2.converters.TransformersConverter(name).convert(f"{name}-converted")
    generator = ctranslate2.Generator(f"{name}-converted", device="cpu", compute_type="float32")
    found = torch.tensor(generator.score_batch([[WORDS[index] for index in IDS]])[0].log_probs)
    with torch.no_grad():
        expected = model(torch.tensor([IDS])).logits[0, :-1].log_softmax(-1).gather(1, torch.tensor(IDS)[1:, None])[:, 0]
    return float((found - expected).abs().max())


print(f"CTranslate2 {ctranslate2.__version__}, transformers {transformers.__version__}; largest difference in nats:")
usual = largest_difference()
print(f"as usual: {usual:.5f}")
others = {
    key: largest_difference(**{key: value})
    for key, value in (
        ("layer_norm_epsilon", 0.1),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
    )
}
for key, difference in others.items():
    print(f"{key}: {difference:.5f}")
sys.exit(not (usual < 1e-3 and all(difference > 1e-2 for difference in others.values())))
PYTHON
# Output (progress bars aside):
# CTranslate2 4.8.5, transformers 5.23.0; largest difference in nats:
# as usual: 0.00000
# layer_norm_epsilon: 0.48598
# scale_attn_weights: 0.83174
# scale_attn_by_inverse_layer_idx: 0.22497
