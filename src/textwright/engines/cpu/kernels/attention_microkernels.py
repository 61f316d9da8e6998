"""The two pieces of attention: queries times keys, and weighted sums of values, over a cache of float32 or bfloat16.

Keys and values of a head are rows of whole vectors, one token after the other. They are read line by line, so that the
last of a row may be half the next row's: of keys a query has zeros there, and of values it is nothing that is wanted.
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
"""Of keys and of values. While a tile is read, the one that follows it is asked for: a processor foresees neither what
is on another page of memory, nor where the values lie, nor whose keys are next."""


def make_scores(kind: int) -> Callable[..., None]:
    """A compiled function: one query times sixteen keys.

    Its arguments, all int64: the address of the first key; bytes from key to key; the address of the query, in the same
    numbers; its lines; where to put the scores, float32 [16]; the address of what is read next, as long as these keys.
    """

    @takes_addresses
    def scores(b: ir.IRBuilder, keys: Any, row_bytes: Any, query: Any, lines: Any, out: Any, following: Any) -> None:
        totals = [cgutils.alloca_once(b, FLOATS) for _ in range(KEYS_PER_TILE)]
        for key, total in enumerate(totals):
            b.store(zeros(FLOATS), total)
            row, ahead = (b.add(start, b.mul(row_bytes, i64(key))) for start in (keys, following))
            with cgutils.for_range(b, lines, intp=I64) as loop:
                offset = b.mul(loop.index, i64(CACHE_LINE))
                kinds = FLOATS if kind == FLOAT32 else INTS
                prefetch(b, b.add(ahead, offset))
                theirs, ours = load(b, b.add(row, offset), kinds, 4), load(b, b.add(query, offset), kinds, CACHE_LINE)
                add = fma if kind == FLOAT32 else dot_bf16
                b.store(add(b, b.load(total), theirs, ours), total)
        store(b, horizontal_sums(b, [b.load(total) for total in totals]), out, 4)

    return scores


def make_weighted_sum(kind: int, num_vectors: int) -> Callable[..., None]:
    """A compiled function that adds weighted values to their sums: ``16 x num_vectors`` columns of them.

    Its arguments, all int64: the address of the first row's first column; bytes from row to row; the address of the
    rows' weights, float32; the number of rows; where the sums are, float32; the address of what is read next, as many
    rows.
    """

    @takes_addresses
    def weighted_sum(
        b: ir.IRBuilder, values: Any, row_bytes: Any, weights: Any, count: Any, sums: Any, following: Any
    ) -> None:
        places = [b.add(sums, i64(CACHE_LINE * place)) for place in range(num_vectors)]
        totals = [cgutils.alloca_once_value(b, load(b, place, FLOATS)) for place in places]
        with cgutils.for_range(b, count, intp=I64) as loop:
            weight = broadcast(b, load(b, b.add(weights, b.mul(loop.index, i64(4))), FLOAT))
            row, ahead = (b.add(start, b.mul(loop.index, row_bytes)) for start in (values, following))
            for line in range(num_vectors if kind == FLOAT32 else -(-num_vectors // 2)):
                prefetch(b, b.add(ahead, i64(CACHE_LINE * line)))
            for place, total in enumerate(totals):
                if kind == FLOAT32:
                    value = load(b, b.add(row, i64(CACHE_LINE * place)), FLOATS)
                else:
                    halves = b.zext(load(b, b.add(row, i64(CACHE_LINE // 2 * place)), SHORTS, 2), INTS)
                    value = low_as_floats(b, halves)
                b.store(fma(b, b.load(total), weight, value), total)
        for place, total in zip(places, totals, strict=True):
            store(b, b.load(total), place)

    return weighted_sum
