"""What is done to one token's numbers: embedding, norms, rotary positions and activations."""

import math
from typing import Any

import numpy as np

from textwright.engines.cpu.kernels.layout import ACTIVATIONS, ModelDims
from textwright.kernels.exponential import exponential
from textwright.kernels.numba_intrinsics import (
    Floats,
    check_index,
    float_at,
    floats,
    ints,
    jit,
    matrix_of,
    row_of,
)
from textwright.kernels.reductions import max_value

GELU_TANH, GELU, RELU, SILU = range(len(ACTIVATIONS))
ROOT_HALF = np.float32(math.sqrt(0.5))
ONE, ZERO = np.float32(1), np.float32(0)


@jit
def embed(dims: ModelDims, args: Any, n: int) -> None:
    """A token's vector, with its position's where positions are vectors."""
    token, place = ints(args.token_ids, args.count)[n], ints(args.positions, args.count)[n]
    check_index(token, dims.vocab_size)
    check_index(place, dims.context_length)
    x = row_of(args.residual, n, dims.hidden_size)
    embedding = matrix_of(args.token_embedding, dims.vocab_size, dims.hidden_size)[token]
    if args.position_embedding == 0:
        for i in range(dims.hidden_size):
            x[i] = embedding[i]
    else:
        position = matrix_of(args.position_embedding, dims.context_length, dims.hidden_size)[place]
        for i in range(dims.hidden_size):
            x[i] = embedding[i] + position[i]


@jit
def normalise(dims: ModelDims, source: int, gain_at: int, bias_at: int, target: int, n: int) -> None:
    """LayerNorm, or RMSNorm, of one token: row ``n`` of ``source`` to row ``n`` of ``target``."""
    width = dims.hidden_size
    x, gain, out = row_of(source, n, width), floats(gain_at, width), row_of(target, n, width)
    if dims.is_qwen3:
        rms_norm(x, gain, out, dims.norm_eps)
    else:
        layer_norm(x, gain, floats(bias_at, width), out, dims.norm_eps)


@jit
def layer_norm(x: Floats, gain: Floats, bias: Floats, out: Floats, epsilon: float) -> None:
    """LayerNorm; ``out`` may be ``x``."""
    mean = ZERO
    for i in range(len(x)):
        mean += x[i]
    mean /= np.float32(len(x))
    square = ZERO
    for i in range(len(x)):
        square += (x[i] - mean) * (x[i] - mean)
    inverse = ONE / np.sqrt(square / np.float32(len(x)) + np.float32(epsilon))
    for i in range(len(x)):
        out[i] = (x[i] - mean) * inverse * gain[i] + bias[i]


@jit
def rms_norm(x: Floats, gain: Floats, out: Floats, epsilon: float) -> None:
    """RMSNorm; ``out`` may be ``x``."""
    square = ZERO
    for i in range(len(x)):
        square += x[i] * x[i]
    inverse = ONE / np.sqrt(square / np.float32(len(x)) + np.float32(epsilon))
    for i in range(len(x)):
        out[i] = x[i] * inverse * gain[i]


@jit
def log_sum(logits: Floats) -> float:
    """The logarithm of the sum of e to the power of each."""
    most, total = max_value(logits), ZERO
    for i in range(len(logits)):
        total += exponential(logits[i] - most)
    return most + np.float32(math.log(total))  # type: ignore[return-value]


@jit
def apply_rope(vector: Floats, cosines: Floats, sines: Floats) -> None:
    """Rotary positions, in the half-and-half layout."""
    half = len(cosines)
    for i in range(half):
        first, second = vector[i], vector[half + i]
        vector[i] = first * cosines[i] - second * sines[i]
        vector[half + i] = second * cosines[i] + first * sines[i]


@jit
def activate(dims: ModelDims, args: Any, n: int, first: int, last: int) -> None:
    """The activation of a token's ``up`` from column ``first`` to ``last``; of ``gate``, times ``up``, where there is a
    gate.

    Each loop is over one kind and from 0 on, and reads what it writes by one name: or a compiler takes the numbers one
    by one.
    """
    start = n * dims.intermediate_size + first
    up = floats(float_at(args.up, start), last - first)
    if dims.is_qwen3:
        _activate_gate(dims.activation, floats(float_at(args.gate, start), last - first), up)
    elif dims.activation == GELU_TANH:
        for i in range(len(up)):
            up[i] = _gelu_tanh(up[i])
    elif dims.activation == SILU:
        for i in range(len(up)):
            up[i] = _silu(up[i])
    elif dims.activation == RELU:
        for i in range(len(up)):
            up[i] = max(up[i], ZERO)
    else:
        for i in range(len(up)):
            up[i] = _gelu(up[i])


@jit
def _activate_gate(activation: int, gate: Floats, up: Floats) -> None:
    if activation == GELU_TANH:
        for i in range(len(up)):
            up[i] *= _gelu_tanh(gate[i])
    elif activation == SILU:
        for i in range(len(up)):
            up[i] *= _silu(gate[i])
    elif activation == RELU:
        for i in range(len(up)):
            up[i] *= max(gate[i], ZERO)
    else:
        for i in range(len(up)):
            up[i] *= _gelu(gate[i])


@jit
def _gelu_tanh(v: float) -> float:
    z = np.float32(1.5957691216057308) * (v + np.float32(0.044715) * v * v * v)
    # (1 + tanh(z / 2)) / 2 is 1 / (1 + exp(-z))
    return v / (ONE + exponential(-z))  # type: ignore[return-value]


@jit
def _silu(v: float) -> float:
    return v / (ONE + exponential(-v))  # type: ignore[return-value]


@jit
def _gelu(v: float) -> float:
    return np.float32(0.5) * v * (ONE + np.float32(math.erf(v * ROOT_HALF)))  # type: ignore[return-value]
