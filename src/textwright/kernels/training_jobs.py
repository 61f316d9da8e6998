"""What kernels for training are told: jobs, records of counts and addresses; and what memory they work in. Numba-free.

Of each job ``taken`` counts what threads have taken of it, as they come to it.
"""

from collections.abc import Sequence

import numpy as np

from textwright.kernels import LANES
from textwright.kernels.processor import WIDE


def _record(names: Sequence[str]) -> "np.dtype[np.void]":
    return np.dtype([(name, np.int64) for name in names])


GELU = _record(("taken", "is_backward", "count", "x", "grad_out", "out"))
"""How many numbers there are; and the addresses of what is read and of what is written."""

CROSS_ENTROPY = _record(("taken", "positions", "vocabulary", "logits", "targets", "weights", "losses"))
"""Addresses are of float32 but for the targets, which are int64."""

LOW_RANK = _record(("taken", "shares", "tokens", "ins", "outs", "x", "grad_out", "a", "b", "sums", "work"))
"""A is [8, in] and B' [8, out], as are the sums of a share; its work is a block's u and v."""
LOW_RANK_BLOCK = 24
"""Tokens that are read once."""
LOW_RANK_WORK = 2 * LOW_RANK_BLOCK * LANES
"""Floats of a share for what is found of a block."""

TENSORS = ("query", "key", "value", "out", "grad_out", "grad_query", "grad_key", "grad_value")
ATTENTION = _record(
    (
        *("taken", "arrived", "is_backward", "rows", "heads", "time", "width"),
        *("starts", "logsumexp", "scale", "work", "work_bytes"),
        *(f"{name}{of}" for name in TENSORS for of in ("", "_row", "_head", "_token")),
    )
)
"""And how many bytes it is from a tensor's row, head or token to the next. ``taken`` counts heads, ``arrived``
threads."""
COLUMNS = 2 * LANES
"""Of a product."""
TILE, BLOCK = (8, 32) if WIDE else (6, 36)
"""Rows of a product, and queries that are taken at once."""
SUMS = 64
"""Floats of a thread for what is found of a row."""


def padded(time: int) -> int:
    """Columns of a matrix of scores: whole tiles, wherever they begin."""
    return (time + 2 * COLUMNS - 1) // COLUMNS * COLUMNS


def filled_up(width: int) -> int:
    """Columns of a head's vectors: whole tiles."""
    return (width + COLUMNS - 1) // COLUMNS * COLUMNS


def attention_work_bytes(time: int, width: int) -> int:
    """Memory of a thread, for heads of so many numbers."""
    return 4 * (SUMS + TILE * filled_up(width) + padded(time) * (7 * filled_up(width) + 2 * BLOCK))
