"""The table of families: name -> where its class is. A new family is a file and a row here."""

from importlib import import_module
from typing import TYPE_CHECKING

import torch

from textwright.core.seeds import hash_u64
from textwright.models.config import GPTConfig

if TYPE_CHECKING:
    from textwright.models.language_model import LanguageModel

FAMILIES: dict[str, str] = {
    "gpt1": "textwright.models.gpt:GPT",
    "gpt2": "textwright.models.gpt:GPT",
    "qwen3": "textwright.models.gpt:GPT",
}


def outline(config: GPTConfig) -> "LanguageModel":
    """A model whose matrices hold anything yet: their memory is asked for, and not touched."""
    module, _, name = FAMILIES[config.family].partition(":")
    model: LanguageModel = getattr(import_module(module), name)(config)
    return model


def build(config: GPTConfig, *, seed: int = 0) -> "LanguageModel":
    """A model with fresh weights that depend on ``seed`` alone; torch's own generator, which is everybody's, stays."""
    model = outline(config)
    model.initialise(torch.Generator().manual_seed(hash_u64("weights", seed) % 2**63))
    return model
