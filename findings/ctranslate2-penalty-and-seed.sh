#!/usr/bin/env bash
# CTranslate2 4.8.5, Generator.generate_batch, seen on 2026-11-27 (Linux, x86-64, Python 3.11):
#
# 1. repetition_penalty counts the prompt where include_prompt_in_result is True (the default), and the text alone where
#    it is False. The documentation says of that option what is returned, and that False reads long prompts faster; yet
#    the greedy text is another one. Without a penalty both ways write the same text.
# 2. set_random_seed between two calls of one Generator changes nothing: its thread draws on from where it was. A new
#    Generator, made after set_random_seed, draws the same text again.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ctranslate2==4.8.5 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import os
import sys

import ctranslate2
import numpy as np
from ctranslate2.specs.common_spec import Activation
from ctranslate2.specs.transformer_spec import TransformerDecoderModelSpec

VOCABULARY, WIDTH, HEADS, CONTEXT = 64, 32, 2, 64
draw = np.random.default_rng(0)


def random(*shape):
    return draw.normal(0, 0.3, shape).astype(np.float32)


def norm(spec):
    spec.gamma, spec.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)


def linear(spec, outputs, inputs):
    spec.weight, spec.bias = random(outputs, inputs), np.zeros(outputs, np.float32)


# A GPT-2 of one layer with random weights, written as CTranslate2's own converter writes one.
spec = TransformerDecoderModelSpec.from_config(1, HEADS, pre_norm=True, activation=Activation.GELUTanh)
decoder = spec.decoder
decoder.scale_embeddings = False
decoder.embeddings.weight = random(VOCABULARY, WIDTH)
decoder.position_encodings.encodings = random(CONTEXT, WIDTH)
norm(decoder.layer_norm)
linear(decoder.projection, VOCABULARY, WIDTH)
for layer in decoder.layer:
    norm(layer.self_attention.layer_norm)
    linear(layer.self_attention.linear[0], 3 * WIDTH, WIDTH)
    linear(layer.self_attention.linear[1], WIDTH, WIDTH)
    norm(layer.ffn.layer_norm)
    linear(layer.ffn.linear_0, 4 * WIDTH, WIDTH)
    linear(layer.ffn.linear_1, WIDTH, 4 * WIDTH)
words = ["<end>", *(f"t{number}" for number in range(1, VOCABULARY))]
spec.register_vocabulary(words)
spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = "<end>"
spec.validate()
os.mkdir("model")
spec.save("model")

prompts = [[words[index] for index in draw.integers(1, VOCABULARY, 20)] for _ in range(16)]


def write(generator, prompt, returned=False, **settings):
    # Where the prompt is returned, max_length counts it too, but for its first token.
    length = 8 + len(prompt) - 1 if returned else 8
    options = {"max_length": length, "include_prompt_in_result": returned, "end_token": []} | settings
    (row,) = generator.generate_batch([prompt], **options)
    return row.sequences_ids[0][len(prompt) if returned else 0 :]


def same(settings):
    generator = ctranslate2.Generator("model", inter_threads=1, intra_threads=1)
    pairs = [[write(generator, prompt, returned, **settings) for returned in (True, False)] for prompt in prompts]
    return sum(one == other for one, other in pairs)


def drawn(generators):
    texts = []
    for generator in generators:
        ctranslate2.set_random_seed(7)
        texts.append(write(generator(), prompts[0], sampling_topk=0))
    return texts[0] == texts[1]


def new():
    return ctranslate2.Generator("model", inter_threads=1, intra_threads=1)


free, penalised = same({}), same({"repetition_penalty": 5})
one = new()
kept, renewed = drawn([lambda: one] * 2), drawn([new] * 2)
print(f"ctranslate2 {ctranslate2.__version__}")
print(f"the same greedy text whether the prompt is returned or not: {free} of 16; with repetition_penalty 5: {penalised}")
print(f"the same seed again: same Generator {kept}, new Generator {renewed}")
sys.exit(not (free == 16 and penalised < 8 and not kept and renewed))
PYTHON
# Output:
# ctranslate2 4.8.5
# the same greedy text whether the prompt is returned or not: 16 of 16; with repetition_penalty 5: 1
# the same seed again: same Generator False, new Generator True
