"""The innermost loops of kernels for training: products of some rows, and what attention does to a row of scores."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from textwright.kernels import CACHE_LINE
from textwright.kernels.llvm_ir import (
    FLOATS,
    INTS,
    LANES,
    broadcast,
    call,
    fma,
    i64,
    load,
    store,
    takes_addresses,
    zeros,
)
from textwright.kernels.numba_intrinsics import FLOAT, I64
from textwright.kernels.processor import WIDE

MOST_ROWS = 6
"""Whose sums of a line have a register each where those are of eight floats: twelve of sixteen."""
OTHERS = 8
"""Rows that each of some is multiplied with at once."""
LEAST, MOST = -87.0, 88.0
"""What e is raised to; of less it is zero."""


def make_rows_microkernel(num_rows: int, *, adds: bool) -> Callable[..., None]:
    """A compiled function: ``num_rows`` rows times a matrix of 32 columns, stored or added to what is there.

    Its arguments, all int64, with distances in bytes: the address of the rows, float32, and how far it is from a number
    to the next and from a row to the next; the address of the matrix, and how far it is from a row of it to the next;
    how many rows that has; where the results go, and how far it is from a row of them to the next.
    """

    @takes_addresses
    def multiply(
        b: ir.IRBuilder,
        rows: Any,
        next_number: Any,
        next_row: Any,
        matrix: Any,
        next_line: Any,
        count: Any,
        out: Any,
        next_out: Any,
    ) -> None:
        def tile(at_once: range, parts: range) -> None:
            """Some of the rows times some of the columns' lines, whose sums stay in registers."""
            places = [
                [b.add(b.add(out, b.mul(next_out, i64(row))), i64(CACHE_LINE * part)) for part in parts]
                for row in at_once
            ]
            totals = [
                [cgutils.alloca_once_value(b, load(b, place, FLOATS) if adds else zeros(FLOATS)) for place in some]
                for some in places
            ]
            starts = [b.add(rows, b.mul(next_row, i64(row))) for row in at_once]
            with cgutils.for_range(b, count, intp=I64) as loop:
                line, offset = b.add(matrix, b.mul(loop.index, next_line)), b.mul(loop.index, next_number)
                vectors = [load(b, b.add(line, i64(CACHE_LINE * part)), FLOATS) for part in parts]
                for start, some in zip(starts, totals, strict=True):
                    number = broadcast(b, load(b, b.add(start, offset), FLOAT))
                    for total, vector in zip(some, vectors, strict=True):
                        b.store(fma(b, b.load(total), vector, number), total)
            for some, where in zip(totals, places, strict=True):
                for total, place in zip(some, where, strict=True):
                    store(b, b.load(total), place)

        if WIDE:
            tile(range(num_rows), range(2))
            return
        size = -(-num_rows // -(-num_rows // MOST_ROWS))
        for part in range(2):
            for first in range(0, num_rows, size):
                tile(range(first, min(first + size, num_rows)), range(part, part + 1))

    return multiply


def make_dots_microkernel(num_rows: int) -> Callable[..., None]:
    """A compiled function: each of ``num_rows`` rows times each of eight others, summed up.

    Its arguments, all int64, with distances in bytes: the address of the rows, float32, and how far it is from one to
    the next; those of the eight; how many lines each has; where the results go, a line for each row, whose second half
    repeats the first.
    """

    @takes_addresses
    def multiply(b: ir.IRBuilder, rows: Any, next_row: Any, others: Any, next_other: Any, lines: Any, out: Any) -> None:
        totals = [[cgutils.alloca_once_value(b, zeros(FLOATS)) for _ in range(OTHERS)] for _ in range(num_rows)]
        starts = [b.add(rows, b.mul(next_row, i64(row))) for row in range(num_rows)]
        against = [b.add(others, b.mul(next_other, i64(other))) for other in range(OTHERS)]
        with cgutils.for_range(b, lines, intp=I64) as loop:
            parts = [load(b, _line(b, start, loop.index), FLOATS) for start in starts]
            for number, start in enumerate(against):
                other = load(b, _line(b, start, loop.index), FLOATS)
                for some, part in zip(totals, parts, strict=True):
                    b.store(fma(b, b.load(some[number]), part, other), some[number])
        for row, some in enumerate(totals):
            store(b, _sums(b, [b.load(total) for total in some]), b.add(out, i64(CACHE_LINE * row)))

    return multiply


def make_transpose() -> Callable[..., None]:
    """A compiled function: sixteen rows of sixteen numbers as columns.

    Its arguments, all int64, with distances in bytes: the address of the rows, float32, and how far it is from one to
    the next; where the columns go, one a line, and how far it is from one to the next.
    """

    @takes_addresses
    def transpose(b: ir.IRBuilder, rows: Any, next_row: Any, out: Any, next_out: Any) -> None:
        vectors = [load(b, b.add(rows, b.mul(next_row, i64(row))), FLOATS) for row in range(LANES)]
        for step in (1, 2, 4, 8):
            exchanged = list(vectors)
            for row in range(LANES):
                if not row & step:
                    exchanged[row], exchanged[row | step] = _exchanged(b, vectors[row], vectors[row | step], step)
            vectors = exchanged
        for row, vector in enumerate(vectors):
            store(b, vector, b.add(out, b.mul(next_out, i64(row))))

    return transpose


def make_softmax() -> Callable[..., None]:
    """A compiled function: a row of scores to probabilities.

    Its arguments, all int64: the address of the row; how many lines it has; the address of what scores are multiplied
    with, float32; where to put the greatest score, multiplied, and the sum that was divided by: a line each.
    """

    @takes_addresses
    def softmax(b: ir.IRBuilder, row: Any, lines: Any, scale_at: Any, sums: Any) -> None:
        scale = broadcast(b, load(b, scale_at, FLOAT))
        top = cgutils.alloca_once_value(b, load(b, row, FLOATS))
        with cgutils.for_range(b, lines, intp=I64) as loop:
            b.store(_greater(b, b.load(top), load(b, _line(b, row, loop.index), FLOATS)), top)
        greatest = _in_all_lanes(b, b.load(top), _greater)
        total = cgutils.alloca_once_value(b, zeros(FLOATS))
        with cgutils.for_range(b, lines, intp=I64) as loop:
            place = _line(b, row, loop.index)
            power = _exponential(b, b.fmul(b.fsub(load(b, place, FLOATS), greatest), scale))
            store(b, power, place)
            b.store(b.fadd(b.load(total), power), total)
        whole = _in_all_lanes(b, b.load(total), lambda b, one, other: b.fadd(one, other))
        share = b.fdiv(_floats(1.0), whole)
        with cgutils.for_range(b, lines, intp=I64) as loop:
            place = _line(b, row, loop.index)
            store(b, b.fmul(load(b, place, FLOATS), share), place)
        store(b, b.fmul(greatest, scale), sums)
        store(b, whole, b.add(sums, i64(CACHE_LINE)))

    return softmax


def make_score_gradient() -> Callable[..., None]:
    """A compiled function: a row of scores to probabilities, and the gradient of those to that of the scores.

    Its arguments, all int64: the addresses of both rows; how many lines each has; the addresses of three float32: what
    scores are multiplied with, the logarithm of the softmax's sum, and the sum of the probabilities times their
    gradients.
    """

    @takes_addresses
    def score_gradient(
        b: ir.IRBuilder, scores: Any, gradients: Any, lines: Any, scale_at: Any, logsumexp_at: Any, delta_at: Any
    ) -> None:
        scale, logsumexp, delta = (broadcast(b, load(b, at, FLOAT)) for at in (scale_at, logsumexp_at, delta_at))
        with cgutils.for_range(b, lines, intp=I64) as loop:
            place, other = _line(b, scores, loop.index), _line(b, gradients, loop.index)
            prob = _exponential(b, b.fsub(b.fmul(load(b, place, FLOATS), scale), logsumexp))
            store(b, prob, place)
            store(b, b.fmul(b.fmul(prob, b.fsub(load(b, other, FLOATS), delta)), scale), other)

    return score_gradient


def _line(b: ir.IRBuilder, start: Any, index: Any) -> Any:
    return b.add(start, b.mul(index, i64(CACHE_LINE)))


def _floats(value: float) -> ir.Constant:
    return ir.Constant(FLOATS, [float(np.float32(value))] * LANES)


def _greater(b: ir.IRBuilder, one: Any, other: Any) -> Any:
    return b.select(b.fcmp_ordered(">", one, other), one, other)


def _in_all_lanes(b: ir.IRBuilder, vector: Any, combine: Callable[[ir.IRBuilder, Any, Any], Any]) -> Any:
    """What all lanes come to, in each of them."""
    for step in (1, 2, 4, 8):
        crossed = ir.Constant(INTS, [lane ^ step for lane in range(LANES)])
        vector = combine(b, vector, b.shuffle_vector(vector, vector, crossed))
    return vector


def _exchanged(b: ir.IRBuilder, one: Any, other: Any, step: int) -> tuple[Any, Any]:
    """Two vectors of pieces of ``step`` lanes: the even pieces of both, and the odd ones, one's and the other's in
    turn."""
    even = [lane if not lane & step else LANES + lane - step for lane in range(LANES)]
    odd = [lane + step if not lane & step else LANES + lane for lane in range(LANES)]
    return b.shuffle_vector(one, other, ir.Constant(INTS, even)), b.shuffle_vector(one, other, ir.Constant(INTS, odd))


def _sums(b: ir.IRBuilder, vectors: Sequence[Any]) -> Any:
    """The sums of the lanes of eight vectors, one after the other, twice."""
    for step in (1, 2, 4):
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [b.fadd(*_exchanged(b, one, other, step)) for one, other in pairs]
    (found,) = vectors
    other = ir.Constant(INTS, [lane ^ OTHERS for lane in range(LANES)])
    return b.fadd(found, b.shuffle_vector(found, found, other))


def _exponential(b: ir.IRBuilder, x: Any) -> Any:
    """e to the x, to the last bit or two; of less than ``LEAST`` zero.

    Source: the polynomial and the split of ln 2 are those of Moshier's Cephes library, ``expf``.
    """
    is_zero = b.fcmp_ordered("<", x, _floats(LEAST))
    x = b.select(is_zero, _floats(LEAST), x)
    x = b.select(b.fcmp_ordered(">", x, _floats(MOST)), _floats(MOST), x)
    whole = call(b, f"llvm.floor.v{LANES}f32", FLOATS, fma(b, _floats(0.5), x, _floats(1.4426950408889634)))
    rest = fma(b, fma(b, x, whole, _floats(-0.693359375)), whole, _floats(2.12194440e-4))
    value = _floats(1.9875691500e-4)
    for factor in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        value = fma(b, _floats(factor), value, rest)
    value = b.fadd(fma(b, rest, value, b.fmul(rest, rest)), _floats(1.0))
    raised = b.add(b.fptosi(whole, INTS), ir.Constant(INTS, [127] * LANES))
    power = b.bitcast(b.shl(raised, ir.Constant(INTS, [23] * LANES)), FLOATS)
    return b.select(is_zero, zeros(FLOATS), b.fmul(value, power))
