"""What every model and objective is handed: rows of tokens with their targets. Masking and packing are data here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

PADDING = -1
"""The document id of padding: it attends nothing, is attended by nothing and has weight 0."""


@dataclass(frozen=True)
class Batch:
    """Rows of tokens, what follows each, and how much each counts.

    ::

        input_ids      t  h  e  |  a  t  o  m        two documents packed into a row
        target_ids     h  e  |  a  t  o  m  |
        document_ids   0  0  0  0  1  1  1  1
        position_ids   0  1  2  3  0  1  2  3
    """

    input_ids: Int[Tensor, "rows time"]
    """Token ids, int64."""
    target_ids: Int[Tensor, "rows time"]
    """The id to be predicted at each place, int64."""
    loss_weight: Float[Tensor, "rows time"]
    """How much each prediction counts; 0 for padding."""
    document_ids: Int[Tensor, "rows time"] | None = None
    """Which document of its row a token is of, -1 for padding. None: one document a row, nothing padded."""
    position_ids: Int[Tensor, "rows time"] | None = None
    """Positions, restarting with each packed document. None: 0, 1, 2, ... in every row."""
    attention: Literal["causal", "bidirectional"] = "causal"
    """Whether a token attends only to what is before it, or to both sides."""
    source_ids: Int[Tensor, "rows source_time"] | None = None
    """For encoder-decoder models: what the encoder reads."""
    source_mask: Int[Tensor, "rows source_time"] | None = None
    """1 where ``source_ids`` are real, 0 where they are padding."""

    @classmethod
    def from_ids(cls, ids: Int[Tensor, "rows time_plus_1"]) -> Self:
        """Rows of a stream: each token predicts the next."""
        return cls(ids[:, :-1], ids[:, 1:], torch.ones(ids[:, 1:].shape, device=ids.device))

    @classmethod
    def for_inputs(cls, ids: Int[Tensor, "rows time"]) -> Self:
        """Rows that are only read: nothing is predicted, so nothing counts."""
        return cls(ids, torch.zeros_like(ids), torch.zeros(ids.shape, device=ids.device))

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]]) -> Self:
        """Rows of different lengths, padded at their ends: each token predicts the next of its row."""
        time = max(1, *(len(row) - 1 for row in rows))
        ids = torch.zeros((len(rows), time + 1), dtype=torch.int64)
        real = torch.zeros((len(rows), time), dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.as_tensor(row, dtype=torch.int64)
            real[index, : len(row) - 1] = True
        document_ids = torch.where(real, 0, PADDING)
        target_ids = torch.where(real, ids[:, 1:], 0)
        return cls(torch.where(real, ids[:, :-1], 0), target_ids, real.float(), document_ids)

    @property
    def num_rows(self) -> int:
        """How many rows."""
        return self.input_ids.shape[0]

    @property
    def time(self) -> int:
        """How many places a row has."""
        return self.input_ids.shape[1]

    def rows(self, start: int, stop: int) -> Self:
        """The rows from ``start`` up to but not including ``stop``."""
        return self._each(lambda tensor: tensor[start:stop])

    def to(self, device: torch.device | str) -> Self:
        """The batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        changed: dict[str, Any] = {name: change(value) for name, value in values if isinstance(value, Tensor)}
        return replace(self, **changed)
