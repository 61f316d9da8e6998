"""Tiny real objects: a model, a text, and a way to train the one on the other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from textwright.data.dataset import DataSplits, TokenDataset
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel
from textwright.models.presets import preset
from textwright.training import loop
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.report import TrainReport

VOCABULARY = 17


def train(model: LanguageModel, data: DataSplits, config: TrainConfig, **named: Any) -> TrainReport:
    """Train a model on the text, as the config says."""
    batches = make_batches(data.train, config, model.context_length)
    return loop.train(add_loss(model, config), batches, config, **named)


@pytest.fixture
def make_model() -> Callable[..., LanguageModel]:
    """``make_model(seed=0, name="nano", **changes)``: two layers, 32 wide, 16 tokens of context."""

    def make(seed: int = 0, name: str = "nano", dropout: float = 0.0, **changes: object) -> LanguageModel:
        small = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
        config = preset(name, vocab_size=VOCABULARY, context_length=16, dropout=dropout)
        return build(config.model_copy(update=small | {"intermediate_size": 64} | changes), seed=seed)

    return make


@pytest.fixture
def data() -> DataSplits:
    """A text of 6 documents in which each token is mostly the one before plus 3."""
    random = np.random.default_rng(0)
    documents = []
    for _ in range(6):
        steps = np.where(random.random(80) < 0.9, 3, random.integers(0, VOCABULARY - 1, 80))
        documents.append((np.cumsum(steps) % VOCABULARY).astype(np.uint32))
    return DataSplits(train=TokenDataset.from_documents(documents), val=None)


@pytest.fixture
def quick() -> Callable[..., TrainConfig]:
    """``quick(**changes)``: six steps of four rows."""

    def make(**changes: object) -> TrainConfig:
        return TrainConfig.model_validate(
            {"steps": 6, "batch_size": 4, "sequence_length": 16, "precision": "float32"} | changes
        )

    return make


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
