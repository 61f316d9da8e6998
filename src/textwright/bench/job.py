"""What every peer is asked to do."""

from dataclasses import dataclass

import torch
from torch import Tensor

from textwright.core.device import Precision

VOCABULARY = 50257


@dataclass(frozen=True)
class Job:
    """One optimizer step of a GPT-2 on random ids."""

    preset: str
    """A row of ``models.presets``: gpt2, gpt2-medium, ..."""
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
