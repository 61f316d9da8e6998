"""The key-value cache, as a value."""

from collections.abc import Sequence
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

INITIAL_CAPACITY = 64
CAPACITY_STEP = 16
"""Capacity comes in multiples of it: kernels read so many keys at once."""


class KVCache:
    """Keys and values of every token read so far, for rows of different lengths.

    ::

        keys, values  [layers, batch, heads, capacity, head_dim]   row r is filled up to lengths[r]

    Capacity doubles as it is needed, up to the context length.
    """

    def __init__(
        self,
        keys: Float[Tensor, "layers batch heads capacity head_dim"],
        values: Float[Tensor, "layers batch heads capacity head_dim"],
        lengths: Int[Tensor, " batch"],
        context_length: int,
    ) -> None:
        self.keys, self.values, self.lengths, self.context_length = keys, values, lengths, context_length

    @classmethod
    def empty(
        cls,
        *,
        layers: int,
        rows: int,
        heads: int,
        head_dim: int,
        context_length: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> Self:
        """No tokens yet, and no room taken."""
        nothing = torch.empty((layers, rows, heads, 0, head_dim), device=device, dtype=dtype)
        return cls(nothing, nothing.clone(), torch.zeros(rows, dtype=torch.int64, device=device), context_length)

    @property
    def capacity(self) -> int:
        """Tokens a row can hold before the cache grows."""
        return self.keys.shape[3]

    @property
    def size_bytes(self) -> int:
        """Memory the cache takes."""
        return 2 * self.keys.numel() * self.keys.element_size()

    def reserve(self, length: int) -> None:
        """See that rows can hold ``length`` tokens."""
        assert length <= self.context_length, f"{length} tokens in a context of {self.context_length}"
        if length <= self.capacity:
            return
        capacity = min(self.context_length, max(length, 2 * self.capacity, INITIAL_CAPACITY))
        capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        self.keys, self.values = (_resized(tensor, capacity) for tensor in (self.keys, self.values))

    def select(self, rows: Sequence[int] | Int[Tensor, " chosen"]) -> Self:
        """The state of these rows, in this order; a row may come twice."""
        index = torch.as_tensor(rows, dtype=torch.int64, device=self.lengths.device)
        return type(self)(
            self.keys.index_select(1, index),
            self.values.index_select(1, index),
            self.lengths[index],
            self.context_length,
        )

    def concat(self, other: Self) -> Self:
        """The rows of both, this one's first."""
        capacity = max(self.capacity, other.capacity)
        keys, values = (
            torch.cat([_resized(mine, capacity), _resized(theirs, capacity)], dim=1)
            for mine, theirs in ((self.keys, other.keys), (self.values, other.values))
        )
        return type(self)(keys, values, torch.cat([self.lengths, other.lengths]), self.context_length)

    def crop(self, lengths: Int[Tensor, " batch"]) -> Self:
        """The state as it was when the rows held so many tokens. What lies beyond is written over later."""
        lengths = lengths.to(self.lengths)
        assert bool((lengths <= self.lengths).all()), "rewind cannot go forward"
        return type(self)(self.keys, self.values, lengths, self.context_length)


def _resized(tensor: Tensor, room: int) -> Tensor:
    """The tensor with room for more tokens; the new room is zeros, so that masked places never hold a NaN."""
    if tensor.shape[3] == room:
        return tensor
    grown = tensor.new_zeros((*tensor.shape[:3], room, tensor.shape[4]))
    grown[:, :, :, : tensor.shape[3]] = tensor
    return grown
