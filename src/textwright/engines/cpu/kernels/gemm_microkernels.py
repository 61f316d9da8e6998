"""The one piece most time is spent in: sixteen rows of a matrix times a few vectors.

::

    panel           w0 w1 w2 ... w15 | w0 w1 w2 ... w15 | ...    sixteen rows side by side, a row a lane
                        step 0             step 1
    inputs          x0[0] in all lanes   x0[1] ...               each is multiplied with every lane
                    x1[0]                x1[1]

Two panels of floats lie side by side, a line of one and a line of the other, and few inputs are multiplied with both at
once: a sum waits for its last product, so another goes on meanwhile. All is read in the order in which it lies: a
processor foresees one stream from memory better than two.

A step is 32 bits of every row and of every input: a float32, two bfloat16 or four int8. So nothing is summed across
lanes; a panel is read from its first byte to its last, once for all inputs of a group; and a sum is made in the same
order whatever group its input is in: a result does not depend on what is computed beside it, to the last bit.

Floats are stored with shorter exponents, seven lines for eight, or three for four; see ``short``.
int8 weights are stored
as weight + 128 in a byte and multiplied with signed inputs, exactly, in integers, which begin at -128 times the sum of
the inputs; every ``BLOCK`` inputs share a scale.

Inputs lie in lines of sixteen steps, those of a group side by side::

    group of 4      line 0 of x0, of x1, of x2, of x3 | line 1 of x0, ...
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba.core import cgutils

from textwright.engines.cpu.kernels.exponent_codec import (
    BFLOAT16_LINES,
    FLOAT32_LINES,
    read_bfloat16,
    read_float32,
)
from textwright.engines.cpu.kernels.llvm_ir import (
    BFLOATS,
    FLOATS,
    INTS,
    LANES,
    LINE,
    call,
    high_as_floats,
    in_all_lanes,
    load,
    load_in_turn,
    low_as_floats,
    number,
    of_addresses,
    plus_product,
    prefetch,
    store,
    zeros,
)
from textwright.engines.cpu.kernels.numba_intrinsics import FLOAT, I32, I64

FLOAT32, BFLOAT16, INT8 = 0, 1, 2
NUMBERS_IN_A_LINE = (16, 32, 64)
"""By the kind of weights."""
_STEPS = LINE // 4
"""In a line."""
CHUNK_STEPS, CHUNK_LINES = (8, 4, 1), (FLOAT32_LINES, BFLOAT16_LINES, 1)
"""By the kind of weights: steps of a panel that lie together, and the lines of memory that they take."""
WEIGHT_LINES = tuple(_STEPS // steps * lines for steps, lines in zip(CHUNK_STEPS, CHUNK_LINES, strict=True))
"""Lines of memory of a line of all sixteen rows of a panel."""
BLOCK_LINES = 4
BLOCK = BLOCK_LINES * NUMBERS_IN_A_LINE[INT8]
"""int8 inputs that share a scale."""
SIDE_BY_SIDE = 2
PANELS = (SIDE_BY_SIDE, SIDE_BY_SIDE, 1)
"""That lie side by side, by the kind of weights."""
AHEAD = 4096
"""Bytes ahead that a panel is asked for: beyond the page of memory at whose end a processor stops to foresee."""
_FEATURES = llvmlite.binding.get_host_cpu_features()
HAS_VNNI, HAS_BFLOAT16 = (bool(_FEATURES.get(name)) for name in ("avx512vnni", "avx512bf16"))
"""Whether the processor multiplies and adds, in each lane at once, four pairs of bytes, or two of bfloat16."""


def make_product(kind: int, num_inputs: int, num_panels: int) -> Callable[..., None]:
    """A compiled function: so many panels of ``kind`` that lie side by side times a group of ``num_inputs``.

    Its arguments, all int64: the address of the first panel; the group's; that of its inputs' blocks (int8 only: the
    scale of each, and what its integers begin at); the number of lines; where to put the sums, float32 [num_panels,
    num_inputs, 16].
    """

    @of_addresses
    def multiply(b: ir.IRBuilder, panel: Any, inputs: Any, blocks: Any, lines: Any, sums: Any) -> None:
        panels = [b.add(panel, number(n * LINE)) for n in range(num_panels)]
        if kind == INT8:
            _multiply_bytes(b, num_inputs, panel, inputs, blocks, lines, sums)
        else:
            _multiply_floats(b, kind, num_inputs, panels, inputs, lines, sums)

    return multiply


def make_finish(adds: bool) -> Callable[..., None]:
    """A compiled function: a panel's sums, scaled and with their bias, to where they belong.

    Its arguments, all int64: the address of the sums, float32 [inputs, 16]; how many inputs; the addresses of the
    panel's scales and of its bias; the address of the first result, and bytes from input to input. Results are stored,
    or added to what is there.
    """

    @of_addresses
    def finish(b: ir.IRBuilder, sums: Any, count: Any, scales: Any, bias: Any, out: Any, out_bytes: Any) -> None:
        scale, start = load(b, scales, FLOATS), load(b, bias, FLOATS)
        with cgutils.for_range(b, count, intp=I64) as loop:
            total = plus_product(b, start, load(b, b.add(sums, b.mul(loop.index, number(LINE))), FLOATS), scale)
            place = b.add(out, b.mul(loop.index, out_bytes))
            store(b, b.fadd(load(b, place, FLOATS), total) if adds else total, place)

    return finish


def _steps_of_line(b: ir.IRBuilder, kind: int, panels: Sequence[Any], line: Any) -> Iterator[Sequence[Any]]:
    """Code for the words of sixteen steps, of every panel."""
    stride = PANELS[kind] * LINE
    read = {FLOAT32: read_float32, BFLOAT16: read_bfloat16, INT8: _read_bytes}[kind]
    start = b.mul(line, number(WEIGHT_LINES[kind] * stride))
    for chunk in range(_STEPS // CHUNK_STEPS[kind]):
        first = b.add(start, number(chunk * CHUNK_LINES[kind] * stride))
        word = _reader(b, [b.add(panel, first) for panel in panels], stride)
        yield from zip(*(read(b, partial(word, which)) for which in range(len(panels))), strict=True)


def _reader(b: ir.IRBuilder, places: Sequence[Any], stride: int) -> Callable[[int, int], Any]:
    """What reads a panel's n-th word, and with it those of the panels beside it: all in the order in which they lie."""
    found: list[list[Any]] = []

    def word(which: int, n: int) -> Any:
        if n == len(found):
            here = [b.add(place, number(n * stride)) for place in places]
            for place in here:
                prefetch(b, b.add(place, number(stride // LINE * AHEAD)))
            found.append([load_in_turn(b, place, INTS, LINE) for place in here])
        return found[n][which]

    return word


def _read_bytes(_: ir.IRBuilder, word: Callable[[int], Any]) -> Iterator[Any]:
    yield word(0)


def _multiply_floats(
    b: ir.IRBuilder, kind: int, num_inputs: int, panels: Sequence[Any], inputs: Any, lines: Any, sums: Any
) -> None:
    totals = [cgutils.alloca_once(b, FLOATS) for _ in range(len(panels) * num_inputs)]
    for total in totals:
        b.store(zeros(FLOATS), total)
    with cgutils.for_range(b, lines, intp=I64) as loop:
        group = b.add(inputs, b.mul(loop.index, number(num_inputs * LINE)))
        found = [b.load(total) for total in totals]
        for step, weights in enumerate(_steps_of_line(b, kind, panels, loop.index)):
            for n in range(num_inputs):
                at = b.add(group, number(n * LINE + 4 * step))
                for which, weight in enumerate(weights):
                    place = which * num_inputs + n
                    if kind == FLOAT32:
                        value = in_all_lanes(b, load(b, at, FLOAT))
                        found[place] = plus_product(b, found[place], b.bitcast(weight, FLOATS), value)
                    else:
                        found[place] = plus_pairs(b, found[place], weight, in_all_lanes(b, load(b, at, I32)))
        for total, value in zip(totals, found, strict=True):
            b.store(value, total)
    for n, total in enumerate(totals):
        store(b, b.load(total), b.add(sums, number(n * LINE)), LINE)


def plus_pairs(b: ir.IRBuilder, total: Any, one: Any, other: Any) -> Any:
    """In each lane, two products of bfloat16 more."""
    if HAS_BFLOAT16:
        return call(
            b, "llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, total, b.bitcast(one, BFLOATS), b.bitcast(other, BFLOATS)
        )
    total = plus_product(b, total, low_as_floats(b, one), low_as_floats(b, other))
    return plus_product(b, total, high_as_floats(b, one), high_as_floats(b, other))


def _multiply_bytes(
    b: ir.IRBuilder, num_inputs: int, panel: Any, inputs: Any, blocks: Any, lines: Any, sums: Any
) -> None:
    num_blocks = b.udiv(b.add(lines, number(BLOCK_LINES - 1)), number(BLOCK_LINES))
    places = [b.add(sums, number(n * LINE)) for n in range(num_inputs)]
    for place in places:
        store(b, zeros(FLOATS), place, LINE)
    wholes = [cgutils.alloca_once(b, INTS) for _ in places]
    with cgutils.for_range(b, num_blocks, intp=I64) as block:
        of_inputs = [
            b.add(blocks, b.mul(b.add(b.mul(number(n), num_blocks), block.index), number(8))) for n in range(num_inputs)
        ]
        for at, whole in zip(of_inputs, wholes, strict=True):
            b.store(in_all_lanes(b, load(b, b.add(at, number(4)), I32)), whole)
        first = b.mul(block.index, number(BLOCK_LINES))
        left = b.sub(lines, first)
        here = b.select(b.icmp_signed("<", left, number(BLOCK_LINES)), left, number(BLOCK_LINES))
        with cgutils.for_range(b, here, intp=I64) as loop:
            line = b.add(first, loop.index)
            group = b.add(inputs, b.mul(line, number(num_inputs * LINE)))
            found = [b.load(whole) for whole in wholes]
            for step, (weight,) in enumerate(_steps_of_line(b, INT8, [panel], line)):
                for n in range(num_inputs):
                    value = in_all_lanes(b, load(b, b.add(group, number(n * LINE + 4 * step)), I32))
                    found[n] = _plus_fours(b, found[n], weight, value)
            for whole, value in zip(wholes, found, strict=True):
                b.store(value, whole)
        for at, whole, place in zip(of_inputs, wholes, places, strict=True):
            scale = in_all_lanes(b, load(b, at, FLOAT))
            total = load(b, place, FLOATS, LINE)
            store(b, plus_product(b, total, b.sitofp(b.load(whole), FLOATS), scale), place, LINE)


def _plus_fours(b: ir.IRBuilder, total: Any, unsigned: Any, signed: Any) -> Any:
    """In each lane, four products of bytes more."""
    if HAS_VNNI:
        return call(b, "llvm.x86.avx512.vpdpbusd.512", INTS, total, unsigned, signed)
    for place in range(4):
        above, all_but_one = (ir.Constant(INTS, [bits] * LANES) for bits in (24 - 8 * place, 24))
        weight = b.lshr(b.shl(unsigned, above), all_but_one)
        total = b.add(total, b.mul(weight, b.ashr(b.shl(signed, above), all_but_one)))
    return total
