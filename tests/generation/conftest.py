"""Small models that say different things, with a byte tokenizer."""

from typing import Any

import pytest
import torch

from textwright.generation.processors.catalog import SamplingPipeline
from textwright.generation.request import SamplingConfig
from textwright.generation.sequence import Sequence
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

CONTEXT = 32
FAMILIES = {
    "gpt2": {},
    "gpt1": {"family": "gpt1"},
    "qwen3": {
        "family": "qwen3",
        "position_encoding": "rotary",
        "activation": "silu",
        "num_key_value_heads": 2,
        "norm_eps": 1e-6,
    },
}


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return make_tokenizer("byte", lambda: iter(()))


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return make_model(request.param)


@pytest.fixture
def gpt2() -> LanguageModel:
    return make_model("gpt2")


def make_model(family: str, **changes: object) -> LanguageModel:
    shape = {"vocab_size": 257, "context_length": CONTEXT, "num_layers": 2, "num_heads": 4, "hidden_size": 32}
    built = build(GPTConfig.model_validate(shape | FAMILIES[family] | changes), seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            spread = 1.5 if "position" in name else 0.3
            parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)
        built.head_weight[256] = 0.0  # the end token comes now and then, not at once
    return built.eval()


def make_sequence(prompt: str, tokenizer: Tokenizer, sampling: SamplingConfig, *others: Any) -> Sequence:
    """A sequence of its own, which shows its text to nobody."""
    pipeline, ids = SamplingPipeline.of(sampling, tokenizer), tokenizer.encode(prompt) or [tokenizer.end_id]
    return Sequence(prompt, ids, 0, tokenizer, sampling, pipeline, lambda _: None, *others)
