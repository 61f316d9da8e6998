"""The same models as for generation."""

from tests.generation.conftest import gpt2, model, tokenizer

__all__ = ["gpt2", "model", "tokenizer"]
