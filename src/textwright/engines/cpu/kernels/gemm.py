"""Matrix products: inputs packed for the micro-kernels, and a thread's share of the panels."""

from typing import Any

import numpy as np

from textwright.engines.cpu.kernels.elementwise import ZERO, max_abs
from textwright.engines.cpu.kernels.exponent_codec import INPUT_FACTOR, INPUT_SHIFT
from textwright.engines.cpu.kernels.gemm_microkernels import (
    BFLOAT16,
    BLOCK,
    BLOCK_LINES,
    DECODED_INPUTS,
    DECODED_PANELS,
    FLOAT32,
    HAS_BFLOAT16,
    INT8,
    INTERLEAVE,
    VALUES_PER_LINE,
    WEIGHT_LINES,
    WIDE,
    make_decoded_microkernel,
    make_epilogue,
    make_gemm_microkernel,
    make_panel_decoder,
    make_prefetch,
)
from textwright.engines.cpu.kernels.layout import CACHE_LINE, MAX_TOKENS, ModelDims
from textwright.engines.cpu.kernels.llvm_ir import LANES
from textwright.engines.cpu.kernels.numba_intrinsics import (
    bits_of_float,
    check_address,
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

MAX_INPUTS = 16
"""Of a tile."""
MIN_DECODED = 24 if WIDE else 2
"""Inputs for which weights are decoded first."""
DECODED_COLUMNS = 128
"""Of panels that are decoded at once: with a tile's inputs they stay in the cache next to the core."""
SUMS = DECODED_PANELS * (MAX_TOKENS + DECODED_COLUMNS) * LANES
"""Floats of a thread: the sums of panels, and what is decoded of them."""
_f32_1, _f32_4, _f32_16 = (make_gemm_microkernel(FLOAT32, size, panels) for size, panels in ((1, 2), (4, 2), (16, 1)))
_bf16_1, _bf16_4, _bf16_16 = (
    make_gemm_microkernel(BFLOAT16, size, panels) for size, panels in ((1, 2), (4, 2), (16, 1))
)
_int8_1, _int8_4, _int8_16 = (make_gemm_microkernel(INT8, size, 1) for size in (1, 4, 16))
_decode_f32, _decode_bf16 = (make_panel_decoder(kind) for kind in (FLOAT32, BFLOAT16))
_decoded_1, _decoded_2, _decoded_3, _decoded_4, _decoded_5, _decoded_6, _decoded_7, _decoded_8 = (
    make_decoded_microkernel(min(size, DECODED_INPUTS)) for size in range(1, 9)
)
_prefetch = make_prefetch()
_epilogue, _epilogue_added = (make_epilogue(adds) for adds in (False, True))


@jit
def num_lines(kind: int, num_columns: int) -> int:
    """Lines of an input, or of a row of a panel, that so many numbers take."""
    per_line = VALUES_PER_LINE[kind]
    return (num_columns + per_line - 1) // per_line


@jit
def is_decoded(kind: int, count: int) -> bool:
    """Whether weights are made floats before they are multiplied, once for all tiles; not where a processor multiplies
    pairs of bfloat16 itself."""
    return count >= MIN_DECODED and kind != INT8 and not (kind == BFLOAT16 and HAS_BFLOAT16)


@jit
def input_tile(kind: int, n: int, count: int) -> tuple[int, int]:
    """The first of the inputs that the ``n``-th is multiplied with, and how many they are: 16, 4 or 1, or up to 6."""
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
        _quantize_inputs(args, row_of(source, n, num_columns), target, size, lines, n)
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
def _quantize_inputs(args: Any, x: Any, target: int, size: int, lines: int, n: int) -> None:
    """int8 inputs, and of each block its scale and its first sum, a pair of words in ``args.blocks``."""
    num_blocks, num_columns = (lines + BLOCK_LINES - 1) // BLOCK_LINES, len(x)
    scales = floats(args.blocks, 2 * num_blocks * args.count)
    first_sums = ints32(args.blocks, 2 * num_blocks * args.count)
    for block in range(num_blocks):
        start, end = block * BLOCK, min(num_columns, (block + 1) * BLOCK)
        top = max_abs(x[start:end])
        inverse = np.float32(127) / top if top > ZERO else ZERO
        total = np.int32(0)
        for line in range(block * BLOCK_LINES, min(lines, (block + 1) * BLOCK_LINES)):
            out, base = small_ints(line_at(target, line * size), CACHE_LINE), line * CACHE_LINE
            for i in range(base, min(num_columns, base + CACHE_LINE)):
                value = np.int32(np.rint(x[i] * inverse))
                out[i - base] = np.int8(value)
                total += value
            for i in range(max(0, num_columns - base), CACHE_LINE):
                out[i] = np.int8(0)
        place = 2 * (n * num_blocks + block)
        scales[place] = top / np.float32(127)
        first_sums[place + 1] = np.int32(-128) * total


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
    thread: int,
    num_threads: int,
) -> None:
    """This thread's rows of ``matrix @ inputs + bias`` for every token, stored or added to [tokens, num_rows]."""
    panels, row_scales, outliers = matrix
    check_address(panels)
    check_address(row_scales)
    lines = num_lines(dims.kind, num_columns)
    block_bytes = 8 * ((lines + BLOCK_LINES - 1) // BLOCK_LINES)
    sums_at = float_at(args.sums, SUMS * thread)
    interleave = INTERLEAVE[dims.kind]
    first, last = partition_rows(dims.kind, num_rows, thread, num_threads)
    if is_decoded(dims.kind, args.count):
        for first_row in range(first, min(last, num_rows), DECODED_PANELS * LANES):
            _multiply_decoded(dims.kind, args, panels, lines, first_row, sums_at)
            for which in range(DECODED_PANELS):
                row, sums = first_row + which * LANES, line_at(sums_at, which * MAX_TOKENS)
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
    """The panels that begin with ``row`` times all inputs: decoded a stretch at a time, for every tile."""
    panel, interleave, lines_each = row // LANES, INTERLEAVE[kind], WEIGHT_LINES[kind]
    beside = panel % interleave
    panel_at = line_at(panels, (panel - beside) * lines * lines_each + beside)
    per_line = VALUES_PER_LINE[kind] // LANES
    at_once = DECODED_COLUMNS // VALUES_PER_LINE[kind]
    decoded = line_at(sums, DECODED_PANELS * MAX_TOKENS)
    for which in range(DECODED_PANELS):
        floats(line_at(sums, which * MAX_TOKENS), args.count * LANES)[:] = ZERO
    for line in range(0, lines, at_once):
        count = min(at_once, lines - line)
        weights = line_at(panel_at, line * lines_each * interleave)
        if kind == FLOAT32:
            _decode_f32(weights, count, decoded)
        else:
            _decode_bf16(weights, count, decoded)
        following, num_asked = line_at(weights, count * lines_each * interleave), 0
        for n in range(0, args.count, DECODED_INPUTS):
            size = min(DECODED_INPUTS, args.count - n)
            until = (n + size) * at_once * lines_each * interleave // args.count
            _prefetch(line_at(following, num_asked), until - num_asked)  # while this stretch is multiplied
            num_asked = until
            inputs = line_at(args.packed_inputs, per_line * (n * lines + line * size))
            _dispatch_decoded(size, decoded, inputs, count * per_line, line_at(sums, n))


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
