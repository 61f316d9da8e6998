"""The two pieces of attention: queries times keys, and weighted sums of values, over a cache of float32 or bfloat16.

Keys and values of a head are rows of whole lines, one token after the other.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from textwright.engines.cpu.kernels.gemm_microkernels import FLOAT32, plus_pairs
from textwright.engines.cpu.kernels.llvm_ir import (
    FLOATS,
    INTS,
    LANES,
    LINE,
    SHORTS,
    in_all_lanes,
    load,
    low_as_floats,
    number,
    of_addresses,
    plus_product,
    store,
    sums_of_lanes,
    zeros,
)
from textwright.engines.cpu.kernels.numba_intrinsics import FLOAT, I64

KEYS_AT_ONCE = LANES


def make_scores(kind: int) -> Callable[..., None]:
    """A compiled function: one query times sixteen keys.

    Its arguments, all int64: the address of the first key; that of the query, in the same numbers; lines of a key;
    where to put the scores, float32 [16].
    """

    @of_addresses
    def scores(b: ir.IRBuilder, keys: Any, query: Any, lines: Any, out: Any) -> None:
        totals = [cgutils.alloca_once(b, FLOATS) for _ in range(KEYS_AT_ONCE)]
        row_bytes = b.mul(lines, number(LINE))
        for key, total in enumerate(totals):
            b.store(zeros(FLOATS), total)
            row = b.add(keys, b.mul(row_bytes, number(key)))
            with cgutils.for_range(b, lines, intp=I64) as loop:
                offset = b.mul(loop.index, number(LINE))
                kinds = FLOATS if kind == FLOAT32 else INTS
                theirs, ours = load(b, b.add(row, offset), kinds, 4), load(b, b.add(query, offset), kinds, LINE)
                add = plus_product if kind == FLOAT32 else plus_pairs
                b.store(add(b, b.load(total), theirs, ours), total)
        store(b, sums_of_lanes(b, [b.load(total) for total in totals]), out, 4)

    return scores


def make_mix(kind: int, num_vectors: int) -> Callable[..., None]:
    """A compiled function that sums weighted values: ``16 x num_vectors`` columns of them.

    Its arguments, all int64: the address of the first row's first column; bytes from row to row; the address of the
    rows' weights, float32; the number of rows; where to put the sums, float32.
    """

    @of_addresses
    def mix(b: ir.IRBuilder, values: Any, row_bytes: Any, weights: Any, count: Any, sums: Any) -> None:
        totals = [cgutils.alloca_once(b, FLOATS) for _ in range(num_vectors)]
        for total in totals:
            b.store(zeros(FLOATS), total)
        with cgutils.for_range(b, count, intp=I64) as loop:
            weight = in_all_lanes(b, load(b, b.add(weights, b.mul(loop.index, number(4))), FLOAT))
            row = b.add(values, b.mul(loop.index, row_bytes))
            for place, total in enumerate(totals):
                if kind == FLOAT32:
                    value = load(b, b.add(row, number(LINE * place)), FLOATS)
                else:
                    halves = b.zext(load(b, b.add(row, number(LINE // 2 * place)), SHORTS, 2), INTS)
                    value = low_as_floats(b, halves)
                b.store(plus_product(b, b.load(total), weight, value), total)
        for place, total in enumerate(totals):
            store(b, b.load(total), b.add(sums, number(LINE * place)))

    return mix
