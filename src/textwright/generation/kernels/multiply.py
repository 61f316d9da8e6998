"""Matrix products: inputs laid out for the tiles, and a thread's share of the panels."""

from typing import Any

import numpy as np

from textwright.generation.kernels.layout import Shape
from textwright.generation.kernels.llvm import LANES, LINE
from textwright.generation.kernels.native import bits_of_float, floats, ints32, jit, shorts, small_ints
from textwright.generation.kernels.products import (
    BFLOAT16,
    BLOCK,
    BLOCK_LINES,
    FLOAT32,
    INT8,
    NUMBERS_IN_A_LINE,
    make_finish,
    make_product,
)
from textwright.generation.kernels.vectors import ZERO, largest_size

MOST_INPUTS = 16
"""Of a group."""
_f1, _f4, _f16 = (make_product(FLOAT32, size) for size in (1, 4, MOST_INPUTS))
_b1, _b4, _b16 = (make_product(BFLOAT16, size) for size in (1, 4, MOST_INPUTS))
_i1, _i4, _i16 = (make_product(INT8, size) for size in (1, 4, MOST_INPUTS))
_finish, _finish_added = (make_finish(FLOAT32, adds) for adds in (False, True))
_finish_scaled, _finish_scaled_added = (make_finish(INT8, adds) for adds in (False, True))


@jit
def num_lines(kind: int, width: int) -> int:
    """Lines of an input, or of a row of a panel, that ``width`` numbers take."""
    per_line = NUMBERS_IN_A_LINE[kind]
    return (width + per_line - 1) // per_line


@jit
def group_of(n: int, count: int) -> tuple[int, int]:
    """The first of the inputs that the ``n``-th is multiplied with, and how many they are: 16, 4 or 1."""
    first_of_few = count // 16 * 16
    if n < first_of_few:
        return n // 16 * 16, 16
    alone = first_of_few + (count - first_of_few) // 4 * 4
    if n < alone:
        return first_of_few + (n - first_of_few) // 4 * 4, 4
    return n, 1


@jit
def lay_out(m: Shape, j: Any, source: int, width: int, n: int) -> None:
    """One token's numbers as the tiles read them: rounded to the kind of the weights, and in lines of its group."""
    lines = num_lines(m.kind, width)
    first, size = group_of(n, j.count)
    at, stride = j.inputs + LINE * (first * lines + n - first), LINE * size
    x = floats(source + 4 * n * width, width)
    if m.kind == INT8:
        _round_to_bytes(j, x, at, stride, lines, n)
        return
    per_line = NUMBERS_IN_A_LINE[m.kind]
    for line in range(lines):
        start, end = line * per_line, min(width, (line + 1) * per_line)
        if m.kind == FLOAT32:
            out = floats(at + line * stride, LANES)
            for i in range(start, end):
                out[i - start] = x[i]
            for i in range(end - start, LANES):
                out[i] = ZERO
        else:
            halves = shorts(at + line * stride, 2 * LANES)
            for i in range(start, end):
                halves[i - start] = rounded_to_bfloat16(x[i])
            for i in range(end - start, 2 * LANES):
                halves[i] = np.int16(0)


@jit
def rounded_to_bfloat16(value: float) -> np.int16:
    """To the nearest, of two the even one; NaN stays."""
    bits = bits_of_float(value)
    if value != value:
        return np.int16(0x7FC0)
    return np.int16((bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))) >> np.int32(16))


@jit
def _round_to_bytes(j: Any, x: Any, at: int, stride: int, lines: int, n: int) -> None:
    """int8 inputs, and of each block its scale and what its integers begin at."""
    num_blocks, width = (lines + BLOCK_LINES - 1) // BLOCK_LINES, len(x)
    scales, begins = floats(j.blocks, 2 * num_blocks * j.count), ints32(j.blocks, 2 * num_blocks * j.count)
    for block in range(num_blocks):
        start, end = block * BLOCK, min(width, (block + 1) * BLOCK)
        top = largest_size(x[start:end])
        inverse = np.float32(127) / top if top > ZERO else ZERO
        total = np.int32(0)
        for line in range(block * BLOCK_LINES, min(lines, (block + 1) * BLOCK_LINES)):
            out, base = small_ints(at + line * stride, LINE), line * LINE
            for i in range(base, min(width, base + LINE)):
                value = np.int32(np.rint(x[i] * inverse))
                out[i - base] = np.int8(value)
                total += value
            for i in range(max(0, width - base), LINE):
                out[i] = np.int8(0)
        place = 2 * (n * num_blocks + block)
        scales[place] = top / np.float32(127)
        begins[place + 1] = np.int32(-128) * total


@jit
def multiply(
    m: Shape,
    j: Any,
    weights: int,
    row_scales: int,
    bias: int,
    width: int,
    out: int,
    num_rows: int,
    adds: bool,
    part: int,
    parts: int,
) -> None:
    """This thread's rows of ``weights @ inputs + bias`` for every token, stored or added to [tokens, num_rows]."""
    lines = num_lines(m.kind, width)
    panel_bytes = lines * LANES * LINE
    block_bytes = 8 * ((lines + BLOCK_LINES - 1) // BLOCK_LINES)
    sums_at = j.sums + 4 * MOST_INPUTS * LANES * part
    first, last = share((num_rows + LANES - 1) // LANES, part, parts)
    for panel in range(first, last):
        n = 0
        while n < j.count:
            _, size = group_of(n, j.count)
            product(
                m.kind, size, weights + panel * panel_bytes, j.inputs + n * lines * LINE, j.blocks + n * block_bytes,
                lines, sums_at,
            )  # fmt: skip
            row, here = panel * LANES, num_rows - panel * LANES
            of_row, bias_at = row_scales + 4 * row, j.zeros if bias == 0 else bias + 4 * row
            out_at = out + 4 * (n * num_rows + row)
            if here >= LANES:
                finish(m, sums_at, size, of_row, bias_at, out_at, 4 * num_rows, adds)
            else:
                finish_part(m, sums_at, size, of_row, bias_at, out_at, 4 * num_rows, adds, here)
            n += size


@jit
def finish(m: Shape, sums: int, count: int, row_scales: int, bias: int, out: int, out_bytes: int, adds: bool) -> None:
    """A whole panel's sums to where they belong; see ``make_finish``."""
    if m.kind == INT8:
        if adds:
            _finish_scaled_added(sums, count, row_scales, bias, out, out_bytes)
        else:
            _finish_scaled(sums, count, row_scales, bias, out, out_bytes)
    elif adds:
        _finish_added(sums, count, row_scales, bias, out, out_bytes)
    else:
        _finish(sums, count, row_scales, bias, out, out_bytes)


@jit
def finish_part(
    m: Shape, sums: int, count: int, row_scales: int, bias: int, out: int, out_bytes: int, adds: bool, here: int
) -> None:
    """The same for the last panel, of which only ``here`` rows are."""
    scales, biases = floats(row_scales, here), floats(bias, here)
    for i in range(count):
        totals, y = floats(sums + LINE * i, here), floats(out + out_bytes * i, here)
        for r in range(here):
            total = totals[r] * scales[r] + biases[r] if m.kind == INT8 else totals[r] + biases[r]
            y[r] = y[r] + total if adds else total


@jit
def share(total: int, part: int, parts: int) -> tuple[int, int]:
    """Where a thread's panels begin and end."""
    return total * part // parts, total * (part + 1) // parts


@jit
def product(kind: int, size: int, panel: int, inputs: int, blocks: int, lines: int, sums: int) -> None:
    """A panel times a group; see ``make_product``."""
    if kind == INT8:
        if size == 16:
            _i16(panel, inputs, blocks, lines, sums)
        elif size == 4:
            _i4(panel, inputs, blocks, lines, sums)
        else:
            _i1(panel, inputs, blocks, lines, sums)
    elif kind == BFLOAT16:
        if size == 16:
            _b16(panel, inputs, blocks, lines, sums)
        elif size == 4:
            _b4(panel, inputs, blocks, lines, sums)
        else:
            _b1(panel, inputs, blocks, lines, sums)
    elif size == 16:
        _f16(panel, inputs, blocks, lines, sums)
    elif size == 4:
        _f4(panel, inputs, blocks, lines, sums)
    else:
        _f1(panel, inputs, blocks, lines, sums)
