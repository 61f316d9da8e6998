#!/usr/bin/env bash
# transformers 5.23.0, GPT2LMHeadModel.from_pretrained, seen on 2026-11-28 (Linux, x86-64, Python 3.11):
#
# 1. config.json says tie_word_embeddings: true, and model.safetensors has an lm_head.weight that is not the embedding.
#    The model that is loaded is not tied: it uses both, with a warning. Earlier versions use the embedding alone.
# 2. A matrix of int8 numbers, without a scale or a quantization_config, is taken for weights as it is: the numbers,
#    cast to float32. Nothing is said.
# 3. pruned_heads in config.json has no effect; it had until version 4.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 torch==2.13.0 numpy==2.4.6 safetensors==0.8.0
cd "$folder"
export HF_HUB_OFFLINE=1
venv/bin/python - <<'PYTHON'
import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

IDS = torch.tensor([[3, 14, 15, 9, 26, 5]])


def logits(folder):
    with torch.no_grad():
        return GPT2LMHeadModel.from_pretrained(folder).eval()(IDS).logits


def changed(name, weights=None, **keys):
    """The logits of the folder with other weights or keys."""
    found = load_file("plain/model.safetensors")
    Path(name).mkdir()
    save_file(found | (weights or {}), f"{name}/model.safetensors", metadata={"format": "pt"})
    config = json.loads(Path("plain/config.json").read_text()) | keys
    Path(name, "config.json").write_text(json.dumps(config))
    return logits(name)


torch.manual_seed(0)
GPT2LMHeadModel(GPT2Config(vocab_size=32, n_positions=32, n_embd=32, n_layer=2, n_head=2)).save_pretrained("plain")
plain, stored = logits("plain"), load_file("plain/model.safetensors")
print(f"transformers {transformers.__version__}")

head = torch.randn(32, 32)
tied = changed("tied", {"lm_head.weight": head}, tie_word_embeddings=True)
is_untied = not torch.allclose(tied, plain)
print(f"tied by its config, with a head of its own: logits {'of that head' if is_untied else 'of the embedding'}")

whole = {"transformer.h.0.mlp.c_fc.weight": torch.randint(-100, 100, (32, 128), dtype=torch.int8)}
taken = changed("int8", whole)
takes_int8 = bool(torch.isfinite(taken).all()) and not torch.allclose(taken, plain)
as_floats = changed("floats", {name: some.float() for name, some in whole.items()})
takes_int8 = takes_int8 and torch.allclose(taken, as_floats)
print(f"int8 numbers without a scale: {'taken as they are' if takes_int8 else 'not taken'}")

pruned = changed("pruned", pruned_heads={"0": [0]})
is_whole = torch.equal(pruned, plain)
print(f"pruned_heads: {'no effect' if is_whole else 'an effect'}")
sys.exit(not (is_untied and takes_int8 and is_whole))
PYTHON
# Output (progress bars aside):
# transformers 5.23.0
# tied by its config, with a head of its own: logits of that head
# int8 numbers without a scale: taken as they are
# pruned_heads: no effect
