"""Matrix products: a thread's share of the panels, times all inputs."""

from typing import Any

import numpy as np

from textwright.engines.cpu.kernels.elementwise import ZERO
from textwright.engines.cpu.kernels.gemm_inputs import input_tile, is_decoded, num_lines
from textwright.engines.cpu.kernels.gemm_microkernels import (
    WEIGHT_LINES,
    make_decoded_microkernel,
    make_epilogue,
    make_gemm_microkernel,
    make_panel_decoder,
    make_prefetch,
    make_scaled_add,
)
from textwright.engines.cpu.kernels.layout import (
    BFLOAT16,
    BLOCK_LINES,
    CACHE_LINE,
    FLOAT32,
    INPUT_SHIFT,
    INT8,
    INTERLEAVE,
    LANES,
    MAX_TOKENS,
    VALUES_PER_LINE,
    ModelDims,
)
from textwright.engines.cpu.kernels.tiles import (
    DECODED_AT,
    DECODED_COLUMNS,
    DECODED_INPUTS,
    DECODED_PANELS,
    PARTIAL_AT,
    SUMS,
)
from textwright.kernels.numba_intrinsics import (
    atomic_add,
    bits_of_float,
    check_address,
    float_at,
    float_of_bits,
    floats,
    ints32,
    jit,
    line_at,
    shorts,
)

MIN_TAKEN, ROWS_TAKEN = 24, 32
"""Inputs from which rows are taken as threads come to them, and how many at once: as many as any kind interleaves."""
MAX_INPUTS = 16
"""Of a tile."""
BLOCK_BYTES = 8
"""Of a block of an int8 input: its scale, and what its integers begin at."""
_f32_1, _f32_4, _f32_16 = (make_gemm_microkernel(FLOAT32, size, panels) for size, panels in ((1, 2), (4, 2), (16, 1)))
_bf16_1, _bf16_4, _bf16_16 = (
    make_gemm_microkernel(BFLOAT16, size, panels) for size, panels in ((1, 2), (4, 2), (16, 1))
)
_int8_1, _int8_4, _int8_16 = (make_gemm_microkernel(INT8, size, 1) for size in (1, 4, 16))
_decode_f32, _decode_bf16, _decode_int8 = (make_panel_decoder(kind) for kind in (FLOAT32, BFLOAT16, INT8))
_decoded_1, _decoded_2, _decoded_3, _decoded_4, _decoded_5, _decoded_6, _decoded_7, _decoded_8 = (
    make_decoded_microkernel(min(size, DECODED_INPUTS)) for size in range(1, 9)
)
_scaled_add, _prefetch = make_scaled_add(), make_prefetch()
_epilogue, _epilogue_added = (make_epilogue(adds) for adds in (False, True))
NO_BIAS, STORED, ADDED = np.int64(0), np.bool_(False), np.bool_(True)
"""Not Python's own: for each of those that a function is called with, Numba compiles the function anew."""


@jit
def gemm(
    dims: ModelDims,
    args: Any,
    matrix: tuple[int, int, int],
    bias: int,
    num_columns: int,
    out: int,
    num_rows: int,
    adds: bool,
    taken: int,
    thread: int,
    num_threads: int,
) -> None:
    """This thread's rows of ``matrix @ inputs + bias`` for every token, stored or added to [tokens, num_rows].

    Of few inputs a thread has its part. Of many it takes some rows after the other, as ``taken`` counts them: a core
    that is slower, or that somebody else uses too, takes fewer.
    """
    if args.count < MIN_TAKEN:
        first, last = partition_rows(dims.kind, num_rows, thread, num_threads)
        _multiply_rows(dims, args, matrix, bias, num_columns, out, num_rows, adds, thread, first, last)
        return
    first = atomic_add(taken, 1) * ROWS_TAKEN
    while first < num_rows:
        last = min(first + ROWS_TAKEN, padded_rows(dims.kind, num_rows))
        _multiply_rows(dims, args, matrix, bias, num_columns, out, num_rows, adds, thread, first, last)
        first = atomic_add(taken, 1) * ROWS_TAKEN


@jit
def _multiply_rows(
    dims: ModelDims,
    args: Any,
    matrix: tuple[int, int, int],
    bias: int,
    num_columns: int,
    out: int,
    num_rows: int,
    adds: bool,
    thread: int,
    first: int,
    last: int,
) -> None:
    """Rows ``first`` to ``last``, whole panels."""
    panels, row_scales, outliers = matrix
    check_address(panels)
    check_address(row_scales)
    lines = num_lines(dims.kind, num_columns)
    block_bytes = BLOCK_BYTES * ((lines + BLOCK_LINES - 1) // BLOCK_LINES)
    sums_at = float_at(args.sums, SUMS * thread)
    interleave = INTERLEAVE[dims.kind]
    if is_decoded(dims.kind, args.count):
        for first_row in range(first, min(last, num_rows), DECODED_PANELS * LANES):
            _multiply_decoded(dims.kind, args, panels, lines, first_row, sums_at)
            for row in range(first_row, min(first_row + DECODED_PANELS * LANES, last, num_rows), LANES):
                sums = line_at(sums_at, (row - first_row) // LANES * MAX_TOKENS)
                if outliers != 0:
                    _add_outliers_decoded(dims.kind, args, outliers, num_rows, lines, row, sums)
                bias_at = args.zeros if bias == 0 else float_at(bias, row)
                scales, target = float_at(row_scales, row), float_at(out, row)
                epilogue(sums, args.count, scales, bias_at, target, num_rows, adds, num_rows - row)
        return
    for first_row in range(first, last, interleave * LANES):
        weights = line_at(panels, first_row // LANES * lines * WEIGHT_LINES[dims.kind])
        n = 0
        while n < args.count:
            _, size = input_tile(dims.kind, n, args.count)
            inputs, blocks = line_at(args.packed_inputs, n * lines), args.blocks + n * block_bytes
            for k in range(0, interleave, interleave if size < MAX_INPUTS else 1):
                dispatch(dims.kind, size, line_at(weights, k), inputs, blocks, lines, line_at(sums_at, k * size))
            for k in range(interleave):
                sums, row = line_at(sums_at, k * size), first_row + k * LANES
                if outliers != 0:
                    are_floats = dims.kind == FLOAT32
                    add_outliers(dims.kind, are_floats, outliers, num_rows, row, inputs, size, sums)
                bias_at = args.zeros if bias == 0 else float_at(bias, row)
                target = float_at(out, n * num_rows + row)
                epilogue(sums, size, float_at(row_scales, row), bias_at, target, num_rows, adds, num_rows - row)
            n += size


@jit
def _multiply_decoded(kind: int, args: Any, panels: int, lines: int, row: int, sums: int) -> None:
    """The panels that begin with ``row`` times all inputs, to their sums: decoded a stretch at a time, for every tile.

    Of int8 the sums of a block are whole numbers below 2^24, which floats hold exactly; then they are scaled.
    """
    panel, interleave, lines_each = row // LANES, INTERLEAVE[kind], WEIGHT_LINES[kind]
    beside = panel % interleave
    panel_at = line_at(panels, (panel - beside) * lines * lines_each + beside)
    per_line = VALUES_PER_LINE[kind] // LANES
    at_once, decoded = DECODED_COLUMNS // VALUES_PER_LINE[kind], line_at(sums, DECODED_AT)
    block_lines, target = (BLOCK_LINES, line_at(sums, PARTIAL_AT)) if kind == INT8 else (lines, sums)
    for which in range(DECODED_PANELS):
        _clear(line_at(sums, which * MAX_TOKENS), args.count)
    for first_line in range(0, lines, block_lines):
        if kind == INT8:
            _clear(target, args.count)
        last_line = min(lines, first_line + block_lines)
        for line in range(first_line, last_line, at_once):
            count = min(at_once, last_line - line)
            weights = line_at(panel_at, line * lines_each * interleave)
            _decode(kind, weights, count, decoded)
            following, num_asked = line_at(weights, count * lines_each * interleave), 0
            for n in range(0, args.count, DECODED_INPUTS):
                size = min(DECODED_INPUTS, args.count - n)
                until = (n + size) * at_once * lines_each * interleave // args.count
                _prefetch(line_at(following, num_asked), until - num_asked)  # while this stretch is multiplied
                num_asked = until
                inputs = line_at(args.packed_inputs, per_line * (n * lines + line * size))
                _dispatch_decoded(size, decoded, inputs, count * per_line, line_at(target, n))
        if kind == INT8:
            num_blocks = (lines + BLOCK_LINES - 1) // BLOCK_LINES
            scales = args.blocks + BLOCK_BYTES * (first_line // BLOCK_LINES)
            _scaled_add(target, sums, scales, BLOCK_BYTES * num_blocks, args.count)


@jit
def _clear(sums: int, count: int) -> None:
    floats(sums, count * LANES)[:] = ZERO


@jit
def _decode(kind: int, weights: int, lines: int, decoded: int) -> None:
    """See ``make_panel_decoder``."""
    if kind == FLOAT32:
        _decode_f32(weights, lines, decoded)
    elif kind == BFLOAT16:
        _decode_bf16(weights, lines, decoded)
    else:
        _decode_int8(weights, lines, decoded)


@jit
def _dispatch_decoded(size: int, weights: int, inputs: int, lines: int, sums: int) -> None:
    """See ``make_decoded_microkernel``."""
    sums_bytes = MAX_TOKENS * CACHE_LINE
    if size == 8:
        _decoded_8(weights, inputs, lines, sums, sums_bytes)
    elif size == 7:
        _decoded_7(weights, inputs, lines, sums, sums_bytes)
    elif size == 6:
        _decoded_6(weights, inputs, lines, sums, sums_bytes)
    elif size == 5:
        _decoded_5(weights, inputs, lines, sums, sums_bytes)
    elif size == 4:
        _decoded_4(weights, inputs, lines, sums, sums_bytes)
    elif size == 3:
        _decoded_3(weights, inputs, lines, sums, sums_bytes)
    elif size == 2:
        _decoded_2(weights, inputs, lines, sums, sums_bytes)
    else:
        _decoded_1(weights, inputs, lines, sums, sums_bytes)


@jit
def _add_outliers_decoded(kind: int, args: Any, outliers: int, num_rows: int, lines: int, row: int, sums: int) -> None:
    """What the panel leaves out, to the sums of all inputs."""
    per_line = VALUES_PER_LINE[kind] // LANES
    for n in range(0, args.count, DECODED_INPUTS):
        inputs, size = line_at(args.packed_inputs, n * lines * per_line), min(DECODED_INPUTS, args.count - n)
        add_outliers(kind, True, outliers, num_rows, row, inputs, size, line_at(sums, n))


@jit
def add_outliers(
    kind: int, are_floats: bool, outliers: int, num_rows: int, row: int, inputs: int, size: int, sums: int
) -> None:
    """What the panel that begins with ``row`` leaves out, to the sums of a tile; see ``exponent_codec``.

    ``are_floats``: the inputs, not pairs of bfloat16. ``outliers``, ``inputs`` and ``sums`` are addresses.
    """
    panel, num_panels = row // LANES, padded_rows(kind, num_rows) // LANES
    starts = ints32(outliers, num_panels + 1)
    entries = ints32(outliers + 4 * (num_panels + 1), 2 * starts[num_panels])
    per_line = LANES if are_floats else VALUES_PER_LINE[kind]
    for entry in range(starts[panel], starts[panel + 1]):
        column, lane = entries[2 * entry] // LANES, entries[2 * entry] % LANES
        weight = float_of_bits(entries[2 * entry + 1])
        line, place = line_at(inputs, size * (column // per_line)), column % per_line
        for n in range(size):
            total = floats(float_at(line_at(sums, n), lane), 1)
            if are_floats:
                value = floats(float_at(line_at(line, n), place), 1)[0]
            else:
                half = np.int32(shorts(line_at(line, n) + 2 * place, 1)[0])
                value = float_of_bits(half << np.int32(16))
            total[0] += weight * _unscaled(value)


@jit
def _unscaled(value: float) -> float:
    """A packed input as it was, or zero where it was too small for that.

    By its bits: a compiler would divide the weight instead, which is then below the smallest normal float. That costs
    it digits, and some processors a hundred times as long as a product.
    """
    bits = bits_of_float(value)
    is_normal = (bits & np.int32(0x7F800000)) > np.int32(INPUT_SHIFT << 23)
    return float_of_bits(bits - np.int32(INPUT_SHIFT << 23)) if is_normal else ZERO  # type: ignore[return-value]


@jit
def epilogue(
    sums: int, count: int, row_scales: int, bias: int, out: int, out_stride: int, adds: bool, rows_left: int
) -> None:
    """A panel's sums, scaled and with their bias, to where they belong.

    Args:
        sums: the address of float32 [count, 16].
        count: inputs of the tile.
        row_scales: the address of the panel's.
        bias: the address of the panel's.
        out: the address of the first result.
        out_stride: floats from an input's results to those of the next.
        adds: whether they are added to what is there.
        rows_left: of the matrix, from this panel on: in its last panels not sixteen, or none.
    """
    if rows_left >= LANES:
        if adds:
            _epilogue_added(sums, count, row_scales, bias, out, 4 * out_stride)
        else:
            _epilogue(sums, count, row_scales, bias, out, 4 * out_stride)
        return
    scales, biases = floats(row_scales, rows_left), floats(bias, rows_left)
    for i in range(count):
        totals, y = floats(line_at(sums, i), rows_left), floats(float_at(out, i * out_stride), rows_left)
        for r in range(rows_left):
            total = totals[r] * scales[r] + biases[r]
            y[r] = y[r] + total if adds else total


@jit
def padded_rows(kind: int, num_rows: int) -> int:
    """Rows of a matrix, filled up to as many panels as are interleaved."""
    at_once = INTERLEAVE[kind] * LANES
    return (num_rows + at_once - 1) // at_once * at_once


@jit
def partition_rows(kind: int, num_rows: int, thread: int, num_threads: int) -> tuple[int, int]:
    """Where the rows begin and end that a thread multiplies: whole panels, the last perhaps not all there."""
    at_once = INTERLEAVE[kind] * LANES
    first, last = partition(padded_rows(kind, num_rows) // at_once, thread, num_threads)
    return first * at_once, last * at_once


@jit
def partition(total: int, thread: int, num_threads: int) -> tuple[int, int]:
    """Where a thread's part of ``total`` things begins and ends."""
    return total * thread // num_threads, total * (thread + 1) // num_threads


@jit
def dispatch(kind: int, size: int, panel: int, inputs: int, blocks: int, lines: int, sums: int) -> None:
    """Panels times a tile of inputs; see ``make_gemm_microkernel``."""
    if kind == INT8:
        if size == 16:
            _int8_16(panel, inputs, blocks, lines, sums)
        elif size == 4:
            _int8_4(panel, inputs, blocks, lines, sums)
        else:
            _int8_1(panel, inputs, blocks, lines, sums)
    elif kind == BFLOAT16:
        if size == 16:
            _bf16_16(panel, inputs, blocks, lines, sums)
        elif size == 4:
            _bf16_4(panel, inputs, blocks, lines, sums)
        else:
            _bf16_1(panel, inputs, blocks, lines, sums)
    elif size == 16:
        _f32_16(panel, inputs, blocks, lines, sums)
    elif size == 4:
        _f32_4(panel, inputs, blocks, lines, sums)
    else:
        _f32_1(panel, inputs, blocks, lines, sums)
