"""What is done to one token's numbers: embedding, norms, rotary positions and activations."""

import math
from typing import Any

import numpy as np

from textwright.engines.cpu.kernels.layout import ACTIVATIONS, ModelDims
from textwright.engines.cpu.kernels.numba_intrinsics import Floats, float_of_bits, floats, ints, jit, jit_without_nan

GELU_TANH, GELU, RELU, SILU = range(len(ACTIVATIONS))
ROOT_HALF = np.float32(math.sqrt(0.5))
ONE, ZERO = np.float32(1), np.float32(0)


@jit
def embed(m: ModelDims, j: Any, n: int) -> None:
    """A token's vector, with its position's where positions are vectors."""
    token, place = ints(j.tokens, j.count)[n], ints(j.places, j.count)[n]
    x, embedding = floats(j.x + 4 * n * m.width, m.width), floats(j.embedding + 4 * token * m.width, m.width)
    if j.positions == 0:
        for i in range(m.width):
            x[i] = embedding[i]
    else:
        position = floats(j.positions + 4 * place * m.width, m.width)
        for i in range(m.width):
            x[i] = embedding[i] + position[i]


@jit
def normalise(m: ModelDims, source: int, gain_at: int, bias_at: int, target: int, n: int) -> None:
    """LayerNorm, or RMSNorm, of one token."""
    x, out = floats(source + 4 * n * m.width, m.width), floats(target + 4 * n * m.width, m.width)
    if m.is_modern:
        scale_to_one(x, floats(gain_at, m.width), out, m.epsilon)
        return
    gain, bias = floats(gain_at, m.width), floats(bias_at, m.width)
    mean = ZERO
    for i in range(m.width):
        mean += x[i]
    mean /= np.float32(m.width)
    square = ZERO
    for i in range(m.width):
        square += (x[i] - mean) * (x[i] - mean)
    inverse = ONE / np.sqrt(square / np.float32(m.width) + np.float32(m.epsilon))
    for i in range(m.width):
        out[i] = (x[i] - mean) * inverse * gain[i] + bias[i]


@jit
def scale_to_one(x: Floats, gain: Floats, out: Floats, epsilon: float) -> None:
    """RMSNorm; ``out`` may be ``x``."""
    square = ZERO
    for i in range(len(x)):
        square += x[i] * x[i]
    inverse = ONE / np.sqrt(square / np.float32(len(x)) + np.float32(epsilon))
    for i in range(len(x)):
        out[i] = x[i] * inverse * gain[i]


@jit
def turn(vector: Floats, cosines: Floats, sines: Floats) -> None:
    """Rotary positions, in the half-and-half layout."""
    half = len(cosines)
    for i in range(half):
        first, second = vector[i], vector[half + i]
        vector[i] = first * cosines[i] - second * sines[i]
        vector[half + i] = second * cosines[i] + first * sines[i]


@jit
def bend(m: ModelDims, j: Any, first: int, last: int) -> None:
    """The activation of ``mid`` from column ``first`` to ``last``; of the gate, times ``mid``, where there is one."""
    for n in range(j.count):
        mid = floats(j.mid + 4 * n * m.mlp_width, m.mlp_width)
        inner = floats(j.gate + 4 * n * m.mlp_width, m.mlp_width) if m.is_modern else mid
        if m.activation == GELU_TANH:
            for i in range(first, last):
                v = inner[i]
                z = np.float32(1.5957691216057308) * (v + np.float32(0.044715) * v * v * v)
                bent = v / (ONE + exponential(-z))  # (1 + tanh(z / 2)) / 2 is 1 / (1 + exp(-z))
                mid[i] = bent * mid[i] if m.is_modern else bent
        elif m.activation == SILU:
            for i in range(first, last):
                bent = inner[i] / (ONE + exponential(-inner[i]))
                mid[i] = bent * mid[i] if m.is_modern else bent
        elif m.activation == RELU:
            for i in range(first, last):
                bent = max(inner[i], ZERO)
                mid[i] = bent * mid[i] if m.is_modern else bent
        else:
            for i in range(first, last):
                bent = np.float32(0.5) * inner[i] * (ONE + np.float32(math.erf(inner[i] * ROOT_HALF)))
                mid[i] = bent * mid[i] if m.is_modern else bent


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


@jit_without_nan
def largest(values: Floats) -> float:
    """The greatest of some numbers; of NaN it knows nothing, and so it looks at sixteen at once."""
    top = values[0]
    for i in range(len(values)):
        top = max(top, values[i])
    return top


@jit_without_nan
def largest_size(values: Floats) -> float:
    """The greatest of their sizes."""
    top = ZERO
    for i in range(len(values)):
        top = max(top, abs(values[i]))
    return top  # type: ignore[return-value]
