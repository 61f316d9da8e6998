"""e to the power of a number, for loops that a compiler makes vectors of."""

import numpy as np

from textwright.kernels.numba_intrinsics import float_of_bits, jit

ONE = np.float32(1)


@jit
def exponential(x: float) -> float:
    """e to the x, to the last bit or two; a compiler makes sixteen at once of it.

    Source: the polynomial and the split of ln 2 are those of Moshier's Cephes library, ``expf``.
    """
    x = max(min(x, np.float32(88.0)), np.float32(-87.0))
    whole = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    r = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + ONE
    return p * float_of_bits(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))
