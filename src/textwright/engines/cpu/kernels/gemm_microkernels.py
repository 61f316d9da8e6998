"""The one piece most time is spent in: sixteen rows of a matrix times a few vectors.

::

    panel           w0 w1 w2 ... w15 | w0 w1 w2 ... w15 | ...    sixteen rows side by side, a row a lane
                        step 0             step 1
    inputs          x0[0] in all lanes   x0[1] ...               each is multiplied with every lane
                    x1[0]                x1[1]

Two panels of floats are interleaved, a line of one and a line of the other, and few inputs are multiplied with both at
once: a sum waits for its last product, so another goes on meanwhile. All is read in the order in which it lies: a
processor foresees one stream from memory better than two.

A step is 32 bits of every row and of every input: a float32, two bfloat16 or four int8. So nothing is summed across
lanes; a panel is read from its first byte to its last, once for all inputs of a tile; and a sum is made in the same
order whatever tile its input is in: a result does not depend on what is computed beside it, to the last bit.

Floats are stored with shorter exponents, seven lines for eight, or three for four; see ``exponent_codec``.
int8 weights are stored
as weight + 128 in a byte and multiplied with signed inputs, exactly, in integers, which begin at -128 times the sum of
the inputs; every ``BLOCK`` inputs share a scale.

Inputs lie in lines of sixteen steps, those of a tile interleaved::

    tile of 4      line 0 of x0, of x1, of x2, of x3 | line 1 of x0, ...
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from textwright.engines.cpu.kernels.exponent_codec import decode_bfloat16, decode_float32
from textwright.engines.cpu.kernels.layout import (
    BFLOAT16,
    BLOCK_LINES,
    CACHE_LINE,
    CHUNK_LINES,
    CHUNK_STEPS,
    FLOAT32,
    INT8,
    INTERLEAVE,
    LANES,
    VALUES_PER_LINE,
)
from textwright.engines.cpu.kernels.tiles import DECODED_PANELS, MAX_TOTALS, VECTORS_PER_LINE
from textwright.kernels.llvm_ir import (
    BFLOATS,
    FLOATS,
    INTS,
    broadcast,
    call,
    fma,
    high_as_floats,
    i64,
    load,
    load_volatile,
    low_as_floats,
    prefetch,
    store,
    takes_addresses,
    zeros,
)
from textwright.kernels.numba_intrinsics import FLOAT, I32, I64
from textwright.kernels.processor import HAS_BFLOAT16, HAS_VNNI

_STEPS = CACHE_LINE // 4
"""In a line."""
WEIGHT_LINES = tuple(_STEPS // steps * lines for steps, lines in zip(CHUNK_STEPS, CHUNK_LINES, strict=True))
"""Lines of memory of a line of all sixteen rows of a panel."""
PREFETCH_BYTES = 4096
"""Bytes ahead that a panel is asked for: beyond the page of memory at whose end a processor stops to foresee."""
GROUP = 4
"""int8 inputs of a tile that are multiplied at once where not all sums have a register."""


def make_gemm_microkernel(kind: int, num_inputs: int, num_panels: int) -> Callable[..., None]:
    """A compiled function: so many interleaved panels of ``kind`` times a tile of ``num_inputs``.

    Its arguments, all int64: the address of the first panel; the tile's; that of its inputs' blocks (int8 only: the
    scale of each, and what its integers begin at); the number of lines; where to put the sums, float32 [num_panels,
    num_inputs, 16].
    """

    @takes_addresses
    def microkernel(b: ir.IRBuilder, panel: Any, inputs: Any, blocks: Any, lines: Any, sums: Any) -> None:
        panels = [b.add(panel, i64(n * CACHE_LINE)) for n in range(num_panels)]
        if kind == INT8:
            size = num_inputs if num_inputs * VECTORS_PER_LINE <= MAX_TOTALS else GROUP
            with cgutils.for_range(b, i64(num_inputs // size), intp=I64) as group:
                first = b.mul(group.index, i64(size))
                _multiply_int8(b, num_inputs, size, first, panel, inputs, blocks, lines, sums)
        else:
            _multiply_floats(b, kind, num_inputs, panels, inputs, lines, sums)

    return microkernel


def make_panel_decoder(kind: int) -> Callable[..., None]:
    """A compiled function: a stretch of ``DECODED_PANELS`` interleaved panels as floats; of int8, as whole numbers.

    Its arguments, all int64: the address of the first panel's first line; the number of lines; where to put the
    weights, float32 [columns, panels, 16].
    """

    @takes_addresses
    def decode(b: ir.IRBuilder, panel: Any, lines: Any, out: Any) -> None:
        line_bytes = DECODED_PANELS * CACHE_LINE
        panels = [b.add(panel, i64(which * CACHE_LINE)) for which in range(DECODED_PANELS)]
        with cgutils.for_range(b, lines, intp=I64) as loop:
            here = b.add(out, b.mul(loop.index, i64(VALUES_PER_LINE[kind] * line_bytes)))
            column = 0
            for words in _steps_of_line(b, kind, panels, loop.index):
                for values in zip(*(_floats_of(b, kind, word) for word in words), strict=True):
                    for which, value in enumerate(values):
                        store(b, value, b.add(here, i64(column * line_bytes + which * CACHE_LINE)), CACHE_LINE)
                    column += 1

    return decode


def make_decoded_microkernel(num_inputs: int) -> Callable[..., None]:
    """A compiled function: ``DECODED_PANELS`` decoded panels times a tile of float inputs, added to their sums.

    Its arguments, all int64: the address of the weights, float32 [columns, panels, 16]; the tile's; the number of
    lines, of sixteen columns each; the address of the first panel's sums, float32 [num_inputs, 16]; and bytes from a
    panel's sums to those of the next.
    """

    @takes_addresses
    def microkernel(b: ir.IRBuilder, weights: Any, inputs: Any, lines: Any, sums: Any, sums_bytes: Any) -> None:
        starts = [b.add(sums, b.mul(sums_bytes, i64(which))) for which in range(DECODED_PANELS)]
        places = [[b.add(start, i64(n * CACHE_LINE)) for start in starts] for n in range(num_inputs)]
        totals = [
            [cgutils.alloca_once_value(b, load(b, place, FLOATS, CACHE_LINE)) for place in some] for some in places
        ]
        line_bytes = DECODED_PANELS * CACHE_LINE
        with cgutils.for_range(b, lines, intp=I64) as loop:
            row = b.add(weights, b.mul(loop.index, i64(_STEPS * line_bytes)))
            tile = b.add(inputs, b.mul(loop.index, i64(num_inputs * CACHE_LINE)))
            found = [[b.load(total) for total in some] for some in totals]
            for step in range(_STEPS):
                at = [b.add(row, i64(step * line_bytes + which * CACHE_LINE)) for which in range(DECODED_PANELS)]
                columns = [load(b, place, FLOATS, CACHE_LINE) for place in at]
                for n, some in enumerate(found):
                    value = broadcast(b, load(b, b.add(tile, i64(n * CACHE_LINE + 4 * step)), FLOAT))
                    found[n] = [fma(b, total, weight, value) for total, weight in zip(some, columns, strict=True)]
            for total, value in zip(_flat(totals), _flat(found), strict=True):
                b.store(value, total)
        for total, place in zip(_flat(totals), _flat(places), strict=True):
            store(b, b.load(total), place, CACHE_LINE)

    return microkernel


def make_scaled_add() -> Callable[..., None]:
    """A compiled function: the sums of a block of int8, each times its input's scale, added to those of the whole.

    Its arguments, all int64: the address of the block's sums, float32 [inputs, 16]; that of the sums they are added to;
    that of the first input's scale, and bytes from scale to scale; how many inputs.
    """

    @takes_addresses
    def add(b: ir.IRBuilder, partial: Any, sums: Any, scales: Any, scale_bytes: Any, count: Any) -> None:
        with cgutils.for_range(b, count, intp=I64) as loop:
            offset = b.mul(loop.index, i64(CACHE_LINE))
            scale = broadcast(b, load(b, b.add(scales, b.mul(loop.index, scale_bytes)), FLOAT))
            whole, place = load(b, b.add(partial, offset), FLOATS, CACHE_LINE), b.add(sums, offset)
            store(b, fma(b, load(b, place, FLOATS, CACHE_LINE), whole, scale), place, CACHE_LINE)

    return add


def make_prefetch() -> Callable[..., None]:
    """A compiled function that has lines brought near the core, not next to it, where others are still needed.

    Its arguments, both int64: the address of the first line, and how many they are.
    """

    @takes_addresses
    def bring(b: ir.IRBuilder, start: Any, lines: Any) -> None:
        with cgutils.for_range(b, lines, intp=I64) as loop:
            prefetch(b, b.add(start, b.mul(loop.index, i64(CACHE_LINE))), locality=2)

    return bring


def make_epilogue(adds: bool) -> Callable[..., None]:
    """A compiled function: a panel's sums, scaled and with their bias, to where they belong.

    Its arguments, all int64: the address of the sums, float32 [inputs, 16]; how many inputs; the addresses of the
    panel's scales and of its bias; the address of the first result, and bytes from input to input. Results are stored,
    or added to what is there.
    """

    @takes_addresses
    def epilogue(b: ir.IRBuilder, sums: Any, count: Any, scales: Any, bias: Any, out: Any, out_bytes: Any) -> None:
        scale, start = load(b, scales, FLOATS), load(b, bias, FLOATS)
        with cgutils.for_range(b, count, intp=I64) as loop:
            total = fma(b, start, load(b, b.add(sums, b.mul(loop.index, i64(CACHE_LINE))), FLOATS), scale)
            place = b.add(out, b.mul(loop.index, out_bytes))
            store(b, b.fadd(load(b, place, FLOATS), total) if adds else total, place)

    return epilogue


def _flat(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(rows))


def _steps_of_line(b: ir.IRBuilder, kind: int, panels: Sequence[Any], line: Any) -> Iterator[Sequence[Any]]:
    """Code for the words of sixteen steps, of every panel."""
    stride = INTERLEAVE[kind] * CACHE_LINE
    read = {FLOAT32: decode_float32, BFLOAT16: decode_bfloat16, INT8: _decode_int8}[kind]
    start = b.mul(line, i64(WEIGHT_LINES[kind] * stride))
    for chunk in range(_STEPS // CHUNK_STEPS[kind]):
        first = b.add(start, i64(chunk * CHUNK_LINES[kind] * stride))
        word = _reader(b, [b.add(panel, first) for panel in panels], stride)
        yield from zip(*(read(b, partial(word, which)) for which in range(len(panels))), strict=True)


def _reader(b: ir.IRBuilder, places: Sequence[Any], stride: int) -> Callable[[int, int], Any]:
    """What reads a panel's n-th word, and with it those of the panels beside it: all in the order in which they lie."""
    found: list[list[Any]] = []

    def word(which: int, n: int) -> Any:
        if n == len(found):
            here = [b.add(place, i64(n * stride)) for place in places]
            for place in here:
                prefetch(b, b.add(place, i64(stride // CACHE_LINE * PREFETCH_BYTES)))
            found.append([load_volatile(b, place, INTS, CACHE_LINE) for place in here])
        return found[n][which]

    return word


def _decode_int8(_: ir.IRBuilder, word: Callable[[int], Any]) -> Iterator[Any]:
    yield word(0)


def _multiply_floats(
    b: ir.IRBuilder, kind: int, num_inputs: int, panels: Sequence[Any], inputs: Any, lines: Any, sums: Any
) -> None:
    totals = [cgutils.alloca_once(b, FLOATS) for _ in range(len(panels) * num_inputs)]
    for total in totals:
        b.store(zeros(FLOATS), total)
    with cgutils.for_range(b, lines, intp=I64) as loop:
        group = b.add(inputs, b.mul(loop.index, i64(num_inputs * CACHE_LINE)))
        found = [b.load(total) for total in totals]
        for step, weights in enumerate(_steps_of_line(b, kind, panels, loop.index)):
            for n in range(num_inputs):
                at = b.add(group, i64(n * CACHE_LINE + 4 * step))
                for which, weight in enumerate(weights):
                    place = which * num_inputs + n
                    if kind == FLOAT32:
                        value = broadcast(b, load(b, at, FLOAT))
                        found[place] = fma(b, found[place], b.bitcast(weight, FLOATS), value)
                    else:
                        found[place] = dot_bf16(b, found[place], weight, broadcast(b, load(b, at, I32)))
        for total, value in zip(totals, found, strict=True):
            b.store(value, total)
    for n, total in enumerate(totals):
        store(b, b.load(total), b.add(sums, i64(n * CACHE_LINE)), CACHE_LINE)


def _floats_of(b: ir.IRBuilder, kind: int, words: Any) -> list[Any]:
    """The floats of words of 32 bits: one, two of bfloat16, or four of int8."""
    if kind == FLOAT32:
        return [b.bitcast(words, FLOATS)]
    if kind == INT8:
        shifted = [b.lshr(words, _all(8 * place)) for place in range(4)]
        return [b.sitofp(b.sub(b.and_(byte, _all(255)), _all(128)), FLOATS) for byte in shifted]
    return [low_as_floats(b, words), high_as_floats(b, words)]


def _all(value: int) -> ir.Constant:
    return ir.Constant(INTS, [value] * LANES)


def dot_bf16(b: ir.IRBuilder, total: Any, one: Any, other: Any) -> Any:
    """In each lane, two products of bfloat16 more."""
    if HAS_BFLOAT16:
        return call(
            b, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, total, b.bitcast(one, BFLOATS), b.bitcast(other, BFLOATS)
        )
    for left, right in zip(_floats_of(b, BFLOAT16, one), _floats_of(b, BFLOAT16, other), strict=True):
        total = fma(b, total, left, right)
    return total


def _multiply_int8(
    b: ir.IRBuilder, tile: int, size: int, first: Any, panel: Any, inputs: Any, blocks: Any, lines: Any, sums: Any
) -> None:
    """A panel times ``size`` inputs of a tile, from the ``first`` on."""
    num_blocks = b.udiv(b.add(lines, i64(BLOCK_LINES - 1)), i64(BLOCK_LINES))
    offset = b.mul(first, i64(CACHE_LINE))
    places = [b.add(b.add(sums, offset), i64(n * CACHE_LINE)) for n in range(size)]
    for place in places:
        store(b, zeros(FLOATS), place, CACHE_LINE)
    wholes = [cgutils.alloca_once(b, INTS) for _ in places]
    with cgutils.for_range(b, num_blocks, intp=I64) as block:
        of_inputs = [
            b.add(blocks, b.mul(b.add(b.mul(b.add(first, i64(n)), num_blocks), block.index), i64(8)))
            for n in range(size)
        ]
        for at, whole in zip(of_inputs, wholes, strict=True):
            b.store(broadcast(b, load(b, b.add(at, i64(4)), I32)), whole)
        first_line = b.mul(block.index, i64(BLOCK_LINES))
        left = b.sub(lines, first_line)
        here = b.select(b.icmp_signed("<", left, i64(BLOCK_LINES)), left, i64(BLOCK_LINES))
        with cgutils.for_range(b, here, intp=I64) as loop:
            line = b.add(first_line, loop.index)
            group = b.add(b.add(inputs, offset), b.mul(line, i64(tile * CACHE_LINE)))
            found = [b.load(whole) for whole in wholes]
            for step, (weight,) in enumerate(_steps_of_line(b, INT8, [panel], line)):
                for n in range(size):
                    value = broadcast(b, load(b, b.add(group, i64(n * CACHE_LINE + 4 * step)), I32))
                    found[n] = dot_int8(b, found[n], weight, value)
            for whole, value in zip(wholes, found, strict=True):
                b.store(value, whole)
        for at, whole, place in zip(of_inputs, wholes, places, strict=True):
            scale = broadcast(b, load(b, at, FLOAT))
            total = load(b, place, FLOATS, CACHE_LINE)
            store(b, fma(b, total, b.sitofp(b.load(whole), FLOATS), scale), place, CACHE_LINE)


def dot_int8(b: ir.IRBuilder, total: Any, unsigned: Any, signed: Any) -> Any:
    """In each lane, four products of bytes more."""
    if HAS_VNNI:
        return call(b, "llvm.x86.avx512.vpdpbusd.512", INTS, total, unsigned, signed)
    for place in range(4):
        above, all_but_one = _all(24 - 8 * place), _all(24)
        weight = b.lshr(b.shl(unsigned, above), all_but_one)
        total = b.add(total, b.mul(weight, b.ashr(b.shl(signed, above), all_but_one)))
    return total
