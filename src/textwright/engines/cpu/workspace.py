"""Memory that kernels work in, for every piece of which they have only the address.

::

    piece, filled up to whole lines | guard | piece | guard | ...        guards: in the build that checks bounds
"""

from collections.abc import Mapping

import numpy as np

from textwright.engines.cpu.kernels.layout import CACHE_LINE
from textwright.engines.cpu.kernels.thread_pool import aligned

FLOATS_PER_LINE = CACHE_LINE // 4
GUARD = np.uint32(0xFFC0DEAD)
"""A NaN: what is read beyond a piece shows in the results, too."""


class Workspace:
    """Pieces of float32, each beginning with a line of the cache.

    Attributes:
        addresses: of the pieces, by name.
    """

    def __init__(self, sizes: Mapping[str, int], *, guarded: bool) -> None:
        """
        Args:
            sizes: floats of each piece.
            guarded: whether guards lie between them.
        """
        padded = {name: -(-size // FLOATS_PER_LINE) * FLOATS_PER_LINE for name, size in sizes.items()}
        guard_size = FLOATS_PER_LINE if guarded else 0
        self._memory = aligned(sum(padded.values()) + guard_size * len(padded), np.uint32)
        self._guards = dict[str, int]()
        self.addresses, start = dict[str, int](), 0
        for name, size in padded.items():
            self.addresses[name] = self._memory[start:].ctypes.data
            start += size
            if guarded:
                self._guards[name] = start
                self._memory[start : start + guard_size] = GUARD
                start += guard_size

    def check_guards(self) -> None:
        """
        Raises:
            IndexError: a guard was written to.
        """
        for name, start in self._guards.items():
            if (self._memory[start : start + FLOATS_PER_LINE] != GUARD).any():
                raise IndexError(f"a kernel wrote beyond the end of {name!r}")
