"""Matrix products: inputs laid out for the tiles, and a thread's share of the panels."""

from typing import Any

import numpy as np

from textwright.engines.cpu.kernels.elementwise import ZERO, largest_size
from textwright.engines.cpu.kernels.exponent_codec import INPUT_FACTOR
from textwright.engines.cpu.kernels.gemm_microkernels import (
    BFLOAT16,
    BLOCK,
    BLOCK_LINES,
    FLOAT32,
    INT8,
    NUMBERS_IN_A_LINE,
    PANELS,
    WEIGHT_LINES,
    make_finish,
    make_product,
)
from textwright.engines.cpu.kernels.layout import ModelDims
from textwright.engines.cpu.kernels.llvm_ir import LANES, LINE
from textwright.engines.cpu.kernels.numba_intrinsics import (
    bits_of_float,
    float_of_bits,
    floats,
    ints32,
    jit,
    shorts,
    small_ints,
)

MOST_INPUTS = 16
"""Of a group."""
SUMS = max(PANELS) * MOST_INPUTS * LANES
"""Of a thread's panels and inputs."""
_f1, _f4, _f16 = (make_product(FLOAT32, size, at_once) for size, at_once in ((1, 2), (4, 2), (16, 1)))
_b1, _b4, _b16 = (make_product(BFLOAT16, size, at_once) for size, at_once in ((1, 2), (4, 2), (16, 1)))
_i1, _i4, _i16 = (make_product(INT8, size, 1) for size in (1, 4, 16))
_finish, _finish_added = (make_finish(adds) for adds in (False, True))


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
def lay_out(m: ModelDims, j: Any, source: int, width: int, n: int) -> None:
    """One token's numbers as the tiles read them: rounded to the kind of the weights, and in lines of its group.

    Floats are ``INPUT_FACTOR`` times as large; see ``short``.
    """
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
                out[i - start] = x[i] * INPUT_FACTOR
            for i in range(end - start, LANES):
                out[i] = ZERO
        else:
            halves = shorts(at + line * stride, 2 * LANES)
            for i in range(start, end):
                halves[i - start] = rounded_to_bfloat16(x[i] * INPUT_FACTOR)
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
    m: ModelDims,
    j: Any,
    matrix: tuple[int, int, int],
    bias: int,
    width: int,
    out: int,
    num_rows: int,
    adds: bool,
    part: int,
    parts: int,
) -> None:
    """This thread's rows of ``matrix @ inputs + bias`` for every token, stored or added to [tokens, num_rows]."""
    panels, row_scales, outliers = matrix
    lines = num_lines(m.kind, width)
    block_bytes = 8 * ((lines + BLOCK_LINES - 1) // BLOCK_LINES)
    sums_at = j.sums + 4 * SUMS * part
    panels_at_once = PANELS[m.kind]
    first, last = rows_of(m.kind, num_rows, part, parts)
    for first_row in range(first, last, panels_at_once * LANES):
        weights = panels + first_row // LANES * lines * WEIGHT_LINES[m.kind] * LINE
        n = 0
        while n < j.count:
            _, size = group_of(n, j.count)
            inputs, blocks = j.inputs + n * lines * LINE, j.blocks + n * block_bytes
            for k in range(0, panels_at_once, panels_at_once if size < MOST_INPUTS else 1):
                product(m.kind, size, weights + k * LINE, inputs, blocks, lines, sums_at + k * size * LINE)
            for k in range(panels_at_once):
                sums, row = sums_at + k * size * LINE, first_row + k * LANES
                if outliers != 0:
                    add_outliers(m.kind, outliers, num_rows, row, inputs, size, sums)
                bias_at = j.zeros if bias == 0 else bias + 4 * row
                out_at = out + 4 * (n * num_rows + row)
                finish(sums, size, row_scales + 4 * row, bias_at, out_at, 4 * num_rows, adds, num_rows - row)
            n += size


@jit
def add_outliers(kind: int, outliers: int, num_rows: int, row: int, inputs: int, size: int, sums: int) -> None:
    """What the panel that begins with ``row`` leaves out, to the sums of a group; see ``short``."""
    panel, num_panels = row // LANES, all_rows(kind, num_rows) // LANES
    starts = ints32(outliers, num_panels + 1)
    entries = ints32(outliers + 4 * (num_panels + 1), 2 * starts[num_panels])
    totals = floats(sums, size * LANES)
    for entry in range(starts[panel], starts[panel + 1]):
        column, lane = entries[2 * entry] // LANES, entries[2 * entry] % LANES
        weight = float_of_bits(entries[2 * entry + 1]) / INPUT_FACTOR
        per_line = NUMBERS_IN_A_LINE[kind]
        line = inputs + size * LINE * (column // per_line)
        for n in range(size):
            if kind == FLOAT32:
                value = floats(line + n * LINE, LANES)[column % per_line]
            else:
                half = np.int32(shorts(line + n * LINE, 2 * LANES)[column % per_line])
                value = float_of_bits(half << np.int32(16))
            totals[n * LANES + lane] += weight * value


@jit
def finish(
    sums: int, count: int, row_scales: int, bias: int, out: int, out_bytes: int, adds: bool, num_rows: int
) -> None:
    """A panel's sums to where they belong; ``num_rows`` are left of the matrix: in its last panels not all, or none."""
    if num_rows >= LANES:
        if adds:
            _finish_added(sums, count, row_scales, bias, out, out_bytes)
        else:
            _finish(sums, count, row_scales, bias, out, out_bytes)
        return
    scales, biases = floats(row_scales, num_rows), floats(bias, num_rows)
    for i in range(count):
        totals, y = floats(sums + LINE * i, num_rows), floats(out + out_bytes * i, num_rows)
        for r in range(num_rows):
            total = totals[r] * scales[r] + biases[r]
            y[r] = y[r] + total if adds else total


@jit
def all_rows(kind: int, num_rows: int) -> int:
    """Rows of a matrix, filled up to as many panels as lie side by side."""
    at_once = PANELS[kind] * LANES
    return (num_rows + at_once - 1) // at_once * at_once


@jit
def rows_of(kind: int, num_rows: int, part: int, parts: int) -> tuple[int, int]:
    """Where the rows begin and end that a thread multiplies: whole panels, the last perhaps not all there."""
    at_once = PANELS[kind] * LANES
    first, last = share(all_rows(kind, num_rows) // at_once, part, parts)
    return first * at_once, last * at_once


@jit
def share(total: int, part: int, parts: int) -> tuple[int, int]:
    """Where a thread's part of ``total`` things begins and ends."""
    return total * part // parts, total * (part + 1) // parts


@jit
def product(kind: int, size: int, panel: int, inputs: int, blocks: int, lines: int, sums: int) -> None:
    """Panels times a group; see ``make_product``."""
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
