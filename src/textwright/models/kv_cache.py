"""The key-value cache of a transformer: fixed slots, each of which holds the tokens of one text."""

from collections import Counter
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from textwright.core.errors import InputError

INITIAL_CAPACITY = 64
CAPACITY_STEP = 16
"""Capacity comes in multiples of it: kernels read so many keys at once."""
MAX_UNTOUCHED_BYTES = 16 << 30
"""Address space that is taken for what may never be used."""


def next_capacity(capacity: int, length: int, context_length: int) -> int:
    """Twice as many tokens as before, or as many as are asked for, up to the context length; in whole steps."""
    wanted = min(context_length, max(length, 2 * capacity, INITIAL_CAPACITY))
    return -(-wanted // CAPACITY_STEP) * CAPACITY_STEP


def check_slots(slots: Sequence[int], num_slots: int) -> None:
    """See that a call extends each slot once.

    Raises:
        InputError: one is asked for twice, or is not there.
    """
    if len(set(slots)) < len(slots):
        twice = next(slot for slot, times in Counter(slots).items() if times > 1)
        raise InputError(f"slot {twice} twice in one call", expected="different slots", fix="extend it by both at once")
    missing = next((slot for slot in slots if not 0 <= slot < num_slots), None)
    if missing is not None:
        raise InputError(f"no slot {missing}", expected=f"0 to {num_slots - 1}, the slots of this cache")


class KVCache:
    """Keys and values of every token read so far.

    ::

        keys, values  [layers, slots, heads, capacity, head_dim]   slot s is filled up to length(s)

    All slots have one capacity, which doubles as it is needed. On a CPU memory that was never touched takes none, so
    there all of a context is laid out at once, and slots stay where they are.

    Attributes:
        keys: of all slots, and of those to spare.
        values: likewise.
        capacity: tokens that a slot can hold before all grow.
        context_length: the most it will ever hold.
    """

    def __init__(
        self,
        *,
        layers: int,
        num_slots: int,
        heads: int,
        head_dim: int,
        context_length: int,
        device: torch.device,
        dtype: torch.dtype,
        num_spare: int = 0,
    ) -> None:
        """
        Args:
            layers: of the model.
            num_slots: texts it can hold.
            heads: key and value heads of a layer.
            head_dim: numbers of a head.
            context_length: the most tokens of a text.
            device: where it is.
            dtype: of its numbers.
            num_spare: slots beyond those that are counted, for what is not to be kept.
        """
        self.context_length, self.capacity = context_length, 0
        self._lengths = [0] * num_slots
        self._token_bytes = 2 * layers * heads * head_dim * dtype.itemsize
        rows = num_slots + num_spare
        most = next_capacity(0, context_length, context_length)
        is_laid_out = device.type == "cpu" and rows * most * self._token_bytes <= MAX_UNTOUCHED_BYTES
        shape = (layers, rows, heads, most if is_laid_out else 0, head_dim)
        self.keys, self.values = (torch.empty(shape, device=device, dtype=dtype) for _ in range(2))

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
        return length * self._token_bytes

    def reserve(self, length: int) -> None:
        """See that slots can hold ``length`` tokens. New places are zeros, so that masked ones never hold a NaN."""
        assert length <= self.context_length, f"{length} tokens in a context of {self.context_length}"
        if length <= self.capacity:
            return
        before, self.capacity = self.capacity, next_capacity(self.capacity, length, self.context_length)
        if self.capacity <= self.keys.shape[3]:
            for tensor in (self.keys, self.values):
                tensor[:, :, :, before : self.capacity] = 0
        else:
            self.keys, self.values = (_resized(tensor, self.capacity) for tensor in (self.keys, self.values))

    def crop(self, slot: int, length: int) -> None:
        """Let a slot hold only its first tokens. What lies beyond is written over later."""
        assert length <= self._lengths[slot], "a slot cannot be cropped to more than it holds"
        self._lengths[slot] = length

    @torch.inference_mode()
    def fork(self, source: int, target: int, *, start: int = 0, length: int | None = None) -> None:
        """Let a slot hold what another does; see ``Cache.fork``."""
        length = self._lengths[source] if length is None else length
        for tensor in (self.keys, self.values):
            tensor[:, target, :, start:length] = tensor[:, source, :, start:length]
        self._lengths[target] = length

    @torch.inference_mode()
    def put(self, slot: int, other: Self) -> None:
        """Let a slot hold what the first of another cache does."""
        length = other.length(0)
        self.reserve(length)
        self.keys[:, slot, :, :length] = other.keys[:, 0, :, :length]
        self.values[:, slot, :, :length] = other.values[:, 0, :, :length]
        self._lengths[slot] = length


def _resized(tensor: Tensor, capacity: int) -> Tensor:
    """The tensor with room for more tokens."""
    grown = tensor.new_zeros((*tensor.shape[:3], capacity, tensor.shape[4]))
    grown[:, :, :, : tensor.shape[3]] = tensor
    return grown
