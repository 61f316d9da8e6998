"""A small model of bytes, which several files here put to work."""

import pytest

from textwright.api.model import Model
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer


@pytest.fixture
def nano() -> Model:
    """A model that has learned nothing, of its own for each test."""
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    return Model(build(preset("nano", vocab_size=tokenizer.vocab_size), seed=2).eval(), tokenizer)
