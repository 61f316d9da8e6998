"""Inputs of matrix products as micro-kernels read them: rounded to the kind of the weights, in tiles."""

from typing import Any

import numpy as np

from textwright.engines.cpu.kernels.elementwise import ZERO
from textwright.engines.cpu.kernels.exponent_codec import INPUT_FACTOR
from textwright.engines.cpu.kernels.layout import (
    BFLOAT16,
    BLOCK,
    BLOCK_LINES,
    CACHE_LINE,
    FLOAT32,
    INT8,
    LANES,
    VALUES_PER_LINE,
    ModelDims,
)
from textwright.engines.cpu.kernels.tiles import DECODED_INPUTS
from textwright.kernels.numba_intrinsics import (
    bits_of_float,
    float_at,
    float_of_bits,
    floats,
    ints32,
    jit,
    line_at,
    row_of,
    shorts,
    small_ints,
)
from textwright.kernels.processor import HAS_BFLOAT16, HAS_VNNI, WIDE
from textwright.kernels.reductions import max_abs

MIN_DECODED = 24 if WIDE else 2
"""Inputs for which weights are decoded first."""
FLOAT_LINES = VALUES_PER_LINE[INT8] // LANES
"""That a line of int8 takes as floats."""
BLOCK_FLOAT_LINES = BLOCK_LINES * FLOAT_LINES
DECODES_INT8, MIN_DECODED_INT8 = not (HAS_VNNI or WIDE), 5
"""Whether int8 is multiplied as floats, which hold the sums of a block exactly, and from how many inputs on."""


@jit
def num_lines(kind: int, num_columns: int) -> int:
    """Lines of an input, or of a row of a panel, that so many numbers take."""
    per_line = VALUES_PER_LINE[kind]
    return (num_columns + per_line - 1) // per_line


@jit
def is_decoded(kind: int, count: int) -> bool:
    """Whether weights are made floats before they are multiplied, once for all tiles; not where a processor multiplies
    pairs of bfloat16, or four of int8, itself."""
    if kind == INT8:
        return DECODES_INT8 and count >= MIN_DECODED_INT8
    return count >= MIN_DECODED and not (kind == BFLOAT16 and HAS_BFLOAT16)


@jit
def input_tile(kind: int, n: int, count: int) -> tuple[int, int]:
    """The first of the inputs that the ``n``-th is multiplied with, and how many: 16, 4 or 1, or ``DECODED_INPUTS``."""
    if is_decoded(kind, count):
        first = n // DECODED_INPUTS * DECODED_INPUTS
        return first, min(DECODED_INPUTS, count - first)
    first_of_few = count // 16 * 16
    if n < first_of_few:
        return n // 16 * 16, 16
    alone = first_of_few + (count - first_of_few) // 4 * 4
    if n < alone:
        return first_of_few + (n - first_of_few) // 4 * 4, 4
    return n, 1


@jit
def pack_inputs(dims: ModelDims, args: Any, source: int, num_columns: int, n: int) -> None:
    """Row ``n`` of ``source`` as micro-kernels read it: rounded to the kind of the weights, in lines of its tile.

    Floats are ``INPUT_FACTOR`` times as large; see ``exponent_codec``.
    """
    first, size = input_tile(dims.kind, n, args.count)
    are_floats = dims.kind == FLOAT32 or is_decoded(dims.kind, args.count)
    per_line = LANES if are_floats else VALUES_PER_LINE[dims.kind]
    lines = num_lines(dims.kind, num_columns) * (VALUES_PER_LINE[dims.kind] // per_line)
    target = line_at(args.packed_inputs, first * lines + n - first)  # and every ``size`` lines from there
    if dims.kind == INT8:
        x = row_of(source, n, num_columns)
        _quantize_inputs(args, x, target, size, num_lines(INT8, num_columns), n, are_floats)
        return
    for line in range(lines):
        start = line * per_line
        count = max(0, min(per_line, num_columns - start))
        # From 0 on, and of a whole line so many as a compiler knows: then it is one vector.
        values = floats(float_at(source, n * num_columns + start), per_line)
        if are_floats:
            out = floats(line_at(target, line * size), LANES)
            if count == LANES:
                for i in range(LANES):
                    out[i] = _packed_float(dims.kind, values[i])
            else:
                for i in range(count):
                    out[i] = _packed_float(dims.kind, values[i])
                for i in range(count, LANES):
                    out[i] = ZERO
        else:
            halves = shorts(line_at(target, line * size), 2 * LANES)
            for i in range(count):
                halves[i] = rounded_to_bfloat16(values[i] * INPUT_FACTOR)
            for i in range(count, 2 * LANES):
                halves[i] = np.int16(0)


@jit
def _packed_float(kind: int, value: float) -> float:
    scaled = value * INPUT_FACTOR
    return scaled if kind == FLOAT32 else as_bfloat16(scaled)  # type: ignore[return-value]


@jit
def rounded_to_bfloat16(value: float) -> np.int16:
    """To the nearest, of two the even one; NaN stays."""
    bits = bits_of_float(value)
    if value != value:
        return np.int16(0x7FC0)
    return np.int16((bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))) >> np.int32(16))


@jit
def as_bfloat16(value: float) -> float:
    """The nearest float that a bfloat16 can be."""
    return float_of_bits(np.int32(rounded_to_bfloat16(value)) << np.int32(16))


@jit
def _quantize_inputs(args: Any, x: Any, target: int, size: int, lines: int, n: int, are_floats: bool) -> None:
    """int8 inputs, and of each block its scale and its first sum, a pair of words in ``args.blocks``.

    ``lines`` are those of int8; as floats the same whole numbers take four times as many.
    """
    num_blocks, num_columns = (lines + BLOCK_LINES - 1) // BLOCK_LINES, len(x)
    scales = floats(args.blocks, 2 * num_blocks * args.count)
    first_sums = ints32(args.blocks, 2 * num_blocks * args.count)
    for block in range(num_blocks):
        start, end = block * BLOCK, min(num_columns, (block + 1) * BLOCK)
        top = max_abs(x[start:end])
        inverse = np.float32(127) / top if top > ZERO else ZERO
        place = 2 * (n * num_blocks + block)
        scales[place] = top / np.float32(127)
        until = min(lines, (block + 1) * BLOCK_LINES)
        if are_floats:
            for line in range(block * BLOCK_FLOAT_LINES, until * FLOAT_LINES):
                whole, base = floats(line_at(target, line * size), LANES), line * LANES
                for i in range(base, min(num_columns, base + LANES)):
                    whole[i - base] = np.rint(x[i] * inverse)
                for i in range(max(0, num_columns - base), LANES):
                    whole[i] = ZERO
            continue
        total = np.int32(0)
        for line in range(block * BLOCK_LINES, until):
            out, base = small_ints(line_at(target, line * size), CACHE_LINE), line * CACHE_LINE
            for i in range(base, min(num_columns, base + CACHE_LINE)):
                value = np.int32(np.rint(x[i] * inverse))
                out[i - base] = np.int8(value)
                total += value
            for i in range(max(0, num_columns - base), CACHE_LINE):
                out[i] = np.int8(0)
        first_sums[place + 1] = np.int32(-128) * total
