"""What many numbers come to, sixteen of them at a time."""

import numpy as np

from textwright.kernels.numba_intrinsics import Floats, greater, jit


@jit
def max_value(values: Floats) -> float:
    """The greatest of some numbers; of NaN it knows nothing."""
    top = values[0]
    for i in range(len(values)):
        top = greater(top, values[i])
    return top  # type: ignore[no-any-return]


@jit
def max_abs(values: Floats) -> float:
    """The greatest of their sizes; likewise."""
    top = np.float32(0)
    for i in range(len(values)):
        top = greater(top, abs(values[i]))
    return top  # type: ignore[return-value]
