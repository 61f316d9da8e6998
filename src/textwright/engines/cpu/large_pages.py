"""Memory of large pages, for what is read from one end to the other many times.

A processor remembers where some hundred pages are. Of 4 KB each, that is less than a step of a small model reads; of
2 MB it is more than any. Linux gives large pages to whoever asks (``madvise``, "Transparent Hugepage Support" in its
documentation); elsewhere memory is as it is.
"""

import mmap

import numpy as np
import torch
from torch import Tensor

from textwright.engines.cpu.kernels.layout import CACHE_LINE

LARGE_PAGE = 2 << 20
CHUNK_BYTES = 32 << 20
"""Asked for at once; what nobody writes takes no memory."""


class LargePages:
    """Hands out pieces of memory, which lives as long as a piece of it."""

    def __init__(self) -> None:
        self._left = torch.empty(0, dtype=torch.uint8)

    def zeros(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor of zeros that begins with a line of the processor's cache; a line behind its end can be read."""
        num_bytes = int(np.prod(shape)) * dtype.itemsize
        if not hasattr(mmap, "MADV_HUGEPAGE"):
            return _lines(num_bytes)[:num_bytes].view(dtype).view(shape)
        whole_lines = -(-num_bytes // CACHE_LINE) * CACHE_LINE
        if whole_lines > len(self._left):
            self._left = _chunk(max(whole_lines, CHUNK_BYTES))
        piece, self._left = self._left[:num_bytes], self._left[whole_lines:]
        return piece.view(dtype).view(shape)

    def copy(self, tensor: Tensor) -> Tensor:
        """A tensor's numbers, in order."""
        return self.zeros(tuple(tensor.shape), tensor.dtype).copy_(tensor)


def _chunk(num_bytes: int) -> Tensor:
    memory = mmap.mmap(-1, num_bytes + LARGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    found = torch.frombuffer(memory, dtype=torch.uint8)
    return found[-found.data_ptr() % LARGE_PAGE :][:num_bytes]


def _lines(num_bytes: int) -> Tensor:
    found = torch.zeros(num_bytes + 2 * CACHE_LINE, dtype=torch.uint8)
    return found[-found.data_ptr() % CACHE_LINE :]
