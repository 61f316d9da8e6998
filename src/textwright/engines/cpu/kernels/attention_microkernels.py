"""The two pieces of attention: queries times keys, and weighted sums of values, over a cache of float32 or bfloat16.

Keys and values of a head are rows of whole lines, one token after the other.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from textwright.engines.cpu.kernels.gemm_microkernels import dot_bf16
from textwright.engines.cpu.kernels.layout import CACHE_LINE, FLOAT32
from textwright.kernels.llvm_ir import (
    FLOATS,
    INTS,
    LANES,
    SHORTS,
    broadcast,
    fma,
    horizontal_sums,
    i64,
    load,
    low_as_floats,
    prefetch,
    store,
    takes_addresses,
    zeros,
)
from textwright.kernels.numba_intrinsics import FLOAT, I64

KEYS_PER_TILE = LANES
AHEAD_BYTES = 2048
"""That keys and values are asked for: a processor stops to foresee them at the end of each page of memory."""


def make_scores(kind: int) -> Callable[..., None]:
    """A compiled function: one query times sixteen keys.

    Its arguments, all int64: the address of the first key; that of the query, in the same numbers; lines of a key;
    where to put the scores, float32 [16].
    """

    @takes_addresses
    def scores(b: ir.IRBuilder, keys: Any, query: Any, lines: Any, out: Any) -> None:
        totals = [cgutils.alloca_once(b, FLOATS) for _ in range(KEYS_PER_TILE)]
        row_bytes = b.mul(lines, i64(CACHE_LINE))
        for key, total in enumerate(totals):
            b.store(zeros(FLOATS), total)
            row = b.add(keys, b.mul(row_bytes, i64(key)))
            with cgutils.for_range(b, lines, intp=I64) as loop:
                offset = b.mul(loop.index, i64(CACHE_LINE))
                kinds = FLOATS if kind == FLOAT32 else INTS
                prefetch(b, b.add(b.add(row, offset), i64(AHEAD_BYTES)))
                theirs, ours = load(b, b.add(row, offset), kinds, 4), load(b, b.add(query, offset), kinds, CACHE_LINE)
                add = fma if kind == FLOAT32 else dot_bf16
                b.store(add(b, b.load(total), theirs, ours), total)
        store(b, horizontal_sums(b, [b.load(total) for total in totals]), out, 4)

    return scores


def make_weighted_sum(kind: int, num_vectors: int) -> Callable[..., None]:
    """A compiled function that sums weighted values: ``16 x num_vectors`` columns of them.

    Its arguments, all int64: the address of the first row's first column; bytes from row to row; the address of the
    rows' weights, float32; the number of rows; where to put the sums, float32.
    """

    @takes_addresses
    def weighted_sum(b: ir.IRBuilder, values: Any, row_bytes: Any, weights: Any, count: Any, sums: Any) -> None:
        totals = [cgutils.alloca_once(b, FLOATS) for _ in range(num_vectors)]
        for total in totals:
            b.store(zeros(FLOATS), total)
        with cgutils.for_range(b, count, intp=I64) as loop:
            weight = broadcast(b, load(b, b.add(weights, b.mul(loop.index, i64(4))), FLOAT))
            row = b.add(values, b.mul(loop.index, row_bytes))
            for line in range(num_vectors if kind == FLOAT32 else -(-num_vectors // 2)):
                prefetch(b, b.add(row, i64(AHEAD_BYTES + CACHE_LINE * line)))
            for place, total in enumerate(totals):
                if kind == FLOAT32:
                    value = load(b, b.add(row, i64(CACHE_LINE * place)), FLOATS)
                else:
                    halves = b.zext(load(b, b.add(row, i64(CACHE_LINE // 2 * place)), SHORTS, 2), INTS)
                    value = low_as_floats(b, halves)
                b.store(fma(b, b.load(total), weight, value), total)
        for place, total in enumerate(totals):
            store(b, b.load(total), b.add(sums, i64(CACHE_LINE * place)))

    return weighted_sum
