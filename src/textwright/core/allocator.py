"""How the C library hands out memory."""

import contextlib
import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Names of settings in glibc's malloc.h."""


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, for its next tensors, instead of handing it back to the system.

    glibc returns every block of more than 32 MB at once, and the system clears each of its pages when it is asked for
    again. A training step allocates and frees the same gigabytes every time: on two cores that is a fifth of it; so
    does a step of decoding with the probabilities of many rows (docs/experiments.md). Elsewhere than on Linux with
    glibc this does nothing.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)
