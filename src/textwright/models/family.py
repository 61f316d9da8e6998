"""What a row of the table of families leads to. Torch-free."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textwright.models.config import ModelConfig


@dataclass(frozen=True)
class Family:
    """One kind of model: where its parts are, each ``module:name``, and which shapes are known by name."""

    config: type[ModelConfig]
    """Its config class."""
    network: str
    """Its network's class, a ``Network`` made of a config alone."""
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Configs without their vocabulary, by name."""
    adapters: Mapping[str, str] = field(default_factory=dict)
    """By the ``model_type`` of a model folder: what reads and writes it, a ``HuggingFaceAdapter``."""
