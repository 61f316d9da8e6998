"""The cache that the kernels read: each slot has memory of its own, so it grows, joins and leaves by itself."""

from typing import Self

import numpy as np
import torch
from torch import Tensor

from textwright.engines.cpu.kernels.layout import CACHE_LINE
from textwright.engines.cpu.large_pages import LargePages
from textwright.models.kv_cache import next_capacity

KEYS, VALUES, CAPACITY = range(3)
"""Rows of the table."""


class SlotCache:
    """Keys and values of every token read so far.

    ::

        slot s     keys, values  [layers, heads, capacity, head_dim]     filled up to length(s)
        table      where they lie, and the capacity: what the kernels are told

    A slot's capacity doubles as it is needed, and stays when it is cropped; what it outgrew goes to the next that
    grows so far.

    Attributes:
        table: int64 [3, slots]: the addresses of keys and of values, and the capacity.
        addresses: of the table's three rows.
        context_length: the most tokens a slot will ever hold.
    """

    def __init__(
        self, *, layers: int, num_slots: int, heads: int, head_dim: int, context_length: int, dtype: torch.dtype
    ) -> None:
        """
        Args:
            layers: of the model.
            num_slots: texts it can hold.
            heads: key and value heads of a layer.
            head_dim: numbers of a head; filled up to whole lines of the processor's cache.
            context_length: the most tokens of a text.
            dtype: of its numbers.
        """
        per_line = CACHE_LINE // dtype.itemsize
        self._shape, self._dtype = (layers, heads, -(-head_dim // per_line) * per_line), dtype
        self._memory, self._free = LargePages(), dict[int, list[Tensor]]()
        self.context_length = context_length
        self._lengths = [0] * num_slots
        self._tensors = [torch.empty(0, dtype=dtype)] * num_slots
        """Keys and values of each."""
        self.table = np.zeros((3, num_slots), np.int64)
        self.addresses = tuple(row.ctypes.data for row in self.table)

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
        layers, heads, head_dim = self._shape
        return 2 * layers * heads * head_dim * length * self._dtype.itemsize

    def reserve(self, slot: int, length: int) -> None:
        """See that a slot can hold ``length`` tokens; what it holds stays."""
        assert length <= self.context_length, f"{length} tokens in a context of {self.context_length}"
        before = int(self.table[CAPACITY, slot])
        if length > before:
            self._grow(slot, before, length)

    @torch.inference_mode()
    def _grow(self, slot: int, before: int, length: int) -> None:
        layers, heads, head_dim = self._shape
        capacity, held = next_capacity(before, length, self.context_length), self._lengths[slot]
        free, outgrown = self._free.setdefault(capacity, []), self._tensors[slot]
        # What fills a head up to whole lines is multiplied too; it is zero, and nobody writes it.
        grown = free.pop() if free else self._memory.zeros((2, layers, heads, capacity, head_dim), self._dtype)
        if held:
            grown[:, :, :, :held] = outgrown[:, :, :, :held]
        self._tensors[slot] = grown
        self.table[:, slot] = grown[0].data_ptr(), grown[1].data_ptr(), capacity
        if before:
            self._free[before].append(outgrown)

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
