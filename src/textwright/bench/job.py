"""What every peer is asked to do."""

from dataclasses import dataclass

import torch
from torch import Tensor

from textwright.core.device import Precision
from textwright.core.errors import InputError
from textwright.models.gpt.config import GPTConfig
from textwright.models.presets import preset

VOCABULARY = 50257


def gpt2_preset(name: str, context_length: int) -> GPTConfig:
    """A GPT-2 of that name, without dropout. Raises InputError for a preset of another family."""
    found = preset(name, vocab_size=VOCABULARY, context_length=context_length, dropout=0.0)
    if not isinstance(found, GPTConfig) or found.family != "gpt2":
        raise InputError(f"preset {name!r}", expected="one of GPT-2's family, which every peer knows")
    return found


@dataclass(frozen=True)
class Job:
    """One optimizer step of a GPT-2 on random ids."""

    preset: str
    """A preset: gpt2, gpt2-medium, ..."""
    batch_size: int
    sequence_length: int
    precision: Precision
    """Of our products, and of those of the peer with its best settings."""
    device: str = "cpu"
    """Where: cpu or cuda."""

    @property
    def dtype(self) -> torch.dtype:
        """What matrices are multiplied in."""
        return torch.bfloat16 if self.precision == "bfloat16" else torch.float32

    @property
    def model(self) -> GPTConfig:
        """The model's shape, without dropout.

        Raises:
            InputError: the preset is no GPT-2, which every peer knows.
        """
        context = max(1024, self.sequence_length)
        return gpt2_preset(self.preset, context)

    @property
    def tokens(self) -> int:
        """Tokens learned from in a step."""
        return self.batch_size * self.sequence_length

    def batch(self) -> Tensor:
        """Random ids, [rows, time + 1]."""
        return torch.randint(0, VOCABULARY, (self.batch_size, self.sequence_length + 1), device=self.device)

    def finish(self) -> None:
        """Wait until what was asked of a GPU is done."""
        if self.device == "cuda":
            torch.cuda.synchronize()
