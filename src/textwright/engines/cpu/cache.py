"""The cache that the kernels read: each slot has memory of its own, so it grows, joins and leaves by itself."""

import weakref
from collections.abc import Iterable
from typing import Self

import numpy as np
import torch
from torch import Tensor

from textwright.engines.cpu.kernels.tiles import VECTOR_BYTES
from textwright.engines.cpu.large_pages import LargePages
from textwright.models.kv_cache import next_capacity

KEYS, VALUES, CAPACITY = range(3)
"""Rows of the table."""
KEPT_BYTES = 1 << 30
"""Of memory that no slot has, at most, for the next that needs some."""


class SlotMemory:
    """Memory for slots of a model: what one has outgrown, or a cache that is gone has left, is handed out again.

    A system clears memory that it hands out, and takes longer for it than the kernels to fill it: caches that come one
    after the other would each begin with that.
    """

    def __init__(self, *, layers: int, heads: int, head_dim: int, dtype: torch.dtype) -> None:
        """
        Args:
            layers: of the model.
            heads: key and value heads of a layer.
            head_dim: numbers of a head; filled up to whole vectors of the processor's.
            dtype: of its numbers.
        """
        per_vector = VECTOR_BYTES // dtype.itemsize
        self.shape, self.dtype = (layers, heads, -(-head_dim // per_vector) * per_vector), dtype
        self._new, self._left = LargePages(), dict[int, list[Tensor]]()

    def bytes_for(self, capacity: int) -> int:
        """Of a slot for so many tokens."""
        layers, heads, head_dim = self.shape
        return 2 * layers * heads * head_dim * capacity * self.dtype.itemsize

    def take(self, capacity: int) -> Tensor:
        """Keys and values for so many tokens, [2, layers, heads, capacity, head_dim], with whatever is in them."""
        left = self._left.get(capacity)
        if left:
            return left.pop()
        layers, heads, head_dim = self.shape
        # What fills a head up to whole vectors is multiplied too; it is zero, and nobody writes it.
        return self._new.zeros((2, layers, heads, capacity, head_dim), self.dtype)

    def give_back(self, pieces: Iterable[Tensor]) -> None:
        """What no slot needs any more. A cache may be found gone in any thread, and in the middle of this."""
        kept = sum(len(left) * self.bytes_for(capacity) for capacity, left in list(self._left.items()))
        for piece in pieces:
            kept += piece.nbytes
            if piece.nbytes and kept <= KEPT_BYTES:
                self._left.setdefault(piece.shape[3], []).append(piece)


class SlotCache:
    """Keys and values of every token read so far.

    ::

        slot s     keys, values  [layers, heads, capacity, head_dim]     filled up to length(s)
        table      where they lie, and the capacity: what the kernels are told

    A slot's capacity doubles as it is needed, and stays when it is cropped.

    Attributes:
        table: int64 [3, slots]: the addresses of keys and of values, and the capacity.
        addresses: of the table's three rows.
        context_length: the most tokens a slot will ever hold.
    """

    def __init__(self, memory: SlotMemory, *, num_slots: int, context_length: int) -> None:
        """
        Args:
            memory: for its slots, of one model.
            num_slots: texts it can hold.
            context_length: the most tokens of a text.
        """
        self._memory, self.context_length = memory, context_length
        self._lengths = [0] * num_slots
        self._tensors = [torch.empty((2, 0, 0, 0, 0), dtype=memory.dtype)] * num_slots
        """Keys and values of each."""
        self.table = np.zeros((3, num_slots), np.int64)
        self.addresses = tuple(row.ctypes.data for row in self.table)
        weakref.finalize(self, memory.give_back, self._tensors)

    @property
    def num_slots(self) -> int:
        """How many texts it can hold."""
        return len(self._lengths)

    def length(self, slot: int) -> int:
        """How many tokens a slot holds."""
        return self._lengths[slot]

    def set_length(self, slot: int, length: int) -> None:
        """Say how many tokens a slot holds, once they are written."""
        self._lengths[slot] = length

    def bytes_for(self, length: int) -> int:
        """Memory of a slot that holds so many tokens."""
        return self._memory.bytes_for(length)

    def reserve(self, slot: int, length: int) -> None:
        """See that a slot can hold ``length`` tokens; what it holds stays."""
        assert length <= self.context_length, f"{length} tokens in a context of {self.context_length}"
        before = int(self.table[CAPACITY, slot])
        if length > before:
            self._grow(slot, before, length)

    @torch.inference_mode()
    def _grow(self, slot: int, before: int, length: int) -> None:
        capacity, held = next_capacity(before, length, self.context_length), self._lengths[slot]
        grown, outgrown = self._memory.take(capacity), self._tensors[slot]
        if held:
            grown[:, :, :, :held] = outgrown[:, :, :, :held]
        self._tensors[slot] = grown
        self.table[:, slot] = grown[0].data_ptr(), grown[1].data_ptr(), capacity
        self._memory.give_back([outgrown])

    def crop(self, slot: int, length: int) -> None:
        """Let a slot hold only its first tokens. What lies beyond is written over later."""
        assert length <= self._lengths[slot], "a slot cannot be cropped to more than it holds"
        self._lengths[slot] = length

    def fork(self, source: int, target: int, *, start: int = 0, length: int | None = None) -> None:
        """Let a slot hold what another does; see ``Cache.fork``."""
        self._copy(self, source, target, start, self._lengths[source] if length is None else length)

    def put(self, slot: int, other: Self) -> None:
        """Let a slot hold what the first of another cache does."""
        self._copy(other, 0, slot, 0, other.length(0))

    @torch.inference_mode()
    def _copy(self, origin: Self, source: int, target: int, start: int, length: int) -> None:
        self._lengths[target] = min(start, self._lengths[target])
        self.reserve(target, length)
        if start < length:
            mine, theirs = self._tensors[target], origin._tensors[source]
            mine[:, :, :, start:length] = theirs[:, :, :, start:length]
        self._lengths[target] = length
