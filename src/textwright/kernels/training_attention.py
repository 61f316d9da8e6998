"""Causal attention for training on a CPU, in float32, where each query may see keys from a place of its own on.

::

                 keys             starts
               x . . . . .        0        a row of two documents, of two and of four tokens: what a query may not see
               x x . . . .        0        is not computed, but for what is left over of a tile
               . . x . . .        2
    queries    . . x x . .        2        forward     probs = softmax(scale q k'),  out = probs v
               . . x x x .        2        backward    the scores once more, then the five products of the gradients
               . . x x x x        2

A thread takes a head of a row after the other. Products are of tiles of eight rows and thirty-two columns; queries are
taken thirty-two at once, so that what they share stays in the cache next to the core.
"""

import math
from typing import Any

import numpy as np

from textwright.kernels.llvm_ir import LANES
from textwright.kernels.numba_intrinsics import (
    atomic_add,
    check_address,
    float_at,
    floats,
    ints32,
    jit,
    jit_entry,
    record_at,
)
from textwright.kernels.row_microkernels import (
    make_rows_microkernel,
    make_score_gradient,
    make_softmax,
    make_transpose,
)
from textwright.kernels.training_jobs import (
    ATTENTION,
    BLOCK,
    COLUMNS,
    SUMS,
    TILE,
    filled_up,
    padded,
)

TAKEN, ARRIVED = (ATTENTION.fields[name][1] for name in ("taken", "arrived"))  # type: ignore[index]
HIDDEN, ZERO = np.float32(-1e30), np.float32(0)
STORED, ADDED = np.bool_(False), np.bool_(True)
"""Not Python's own: for each of those that a function is called with, Numba compiles the function anew."""
_rows8, _row1 = (make_rows_microkernel(rows, adds=False) for rows in (TILE, 1))
_rows8_added, _row1_added = (make_rows_microkernel(rows, adds=True) for rows in (TILE, 1))
_transpose, _softmax, _score_gradient = make_transpose(), make_softmax(), make_score_gradient()
job_at = record_at(ATTENTION)
padded_columns, whole_tiles = jit(padded), jit(filled_up)


@jit
def multiply(
    adds: bool,
    num_rows: int,
    rows: int,
    next_number: int,
    next_row: int,
    matrix: int,
    next_line: int,
    count: int,
    out: int,
    next_out: int,
) -> None:
    """Rows of a tile times 32 columns, stored or added to what is there; see ``make_rows_microkernel``."""
    if num_rows == TILE:
        if adds:
            _rows8_added(rows, next_number, next_row, matrix, next_line, count, out, next_out)
        else:
            _rows8(rows, next_number, next_row, matrix, next_line, count, out, next_out)
        return
    for row in range(num_rows):
        here, place = rows + next_row * row, out + next_out * row
        if adds:
            _row1_added(here, next_number, next_row, matrix, next_line, count, place, next_out)
        else:
            _row1(here, next_number, next_row, matrix, next_line, count, place, next_out)


@jit
def pack(source: int, next_token: int, time: int, width: int, out: int) -> None:
    """A head's vectors, one after the other, each followed by zeros up to whole tiles."""
    for t in range(time):
        x, y = floats(source + next_token * t, width), floats(float_at(out, t * whole_tiles(width)), whole_tiles(width))
        for i in range(width):
            y[i] = x[i]
        for i in range(width, len(y)):
            y[i] = ZERO


@jit
def unpack(source: int, time: int, width: int, out: int, next_token: int) -> None:
    """The way back, without what follows each."""
    for t in range(time):
        x, y = floats(float_at(source, t * whole_tiles(width)), width), floats(out + next_token * t, width)
        for i in range(width):
            y[i] = x[i]


@jit
def transpose(source: int, next_token: int, time: int, width: int, out: int, columns: int) -> None:
    """A head's vectors as columns, and zeros after them."""
    for i in range(width):
        floats(float_at(out, i * columns), columns)[time:] = ZERO
    whole_time, whole_width = time // LANES * LANES, width // LANES * LANES
    for t in range(0, whole_time, LANES):
        for i in range(0, whole_width, LANES):
            _transpose(float_at(source + next_token * t, i), next_token, float_at(out, i * columns + t), 4 * columns)
    for t in range(time):
        x = floats(source + next_token * t, width)
        for i in range(whole_width if t < whole_time else 0, width):
            floats(float_at(out, i * columns + t), 1)[0] = x[i]


@jit
def fill(address: int, count: int, value: float) -> None:
    """So many numbers, all the same."""
    x = floats(address, max(count, 0))
    for i in range(len(x)):
        x[i] = value


@jit
def first_column(starts: Any, query: int, first: int) -> int:
    """Where the tiles begin that a query needs, from key ``first`` on."""
    return (starts[query] - first) // COLUMNS * COLUMNS


@jit
def end_column(end: int, first: int) -> int:
    """Where the tiles end that queries before ``end`` need, from key ``first`` on."""
    return (end - first + COLUMNS - 1) // COLUMNS * COLUMNS


@jit
def score(
    starts: Any,
    vectors: int,
    next_token: int,
    begun: int,
    end: int,
    first: int,
    turned: int,
    width: int,
    out: int,
    columns: int,
) -> None:
    """Products of the vectors of a block of queries and of the keys from ``first`` on, that they may see."""
    for column in range(0, end_column(end, first), COLUMNS):
        for query in range(begun, end, TILE):
            if first_column(starts, query, first) <= column and column < query + TILE - first:
                place = float_at(out, (query - begun) * columns + column)
                right = float_at(turned, first + column)
                here, count = vectors + next_token * query, min(TILE, end - query)
                multiply(STORED, count, here, 4, next_token, right, 4 * columns, width, place, 4 * columns)


@jit
def hide(starts: Any, query: int, first: int, column: int, end: int, row: int) -> None:
    """Of a query's row of scores, from ``column`` to ``end``, what it may not see."""
    begin, after = starts[query] - first, query + 1 - first
    fill(float_at(row, column), begin - column, HIDDEN)
    fill(float_at(row, after), end - after, HIDDEN)


@jit
def forward_head(job: Any, row: int, head: int, work: int) -> None:
    """What a head's queries take."""
    time, width, columns = job.time, job.width, padded_columns(job.time)
    across = whole_tiles(width)
    query = job.query + row * job.query_row + head * job.query_head
    key = job.key + row * job.key_row + head * job.key_head
    value = job.value + row * job.value_row + head * job.value_head
    out = job.out + row * job.out_row + head * job.out_head
    starts, logsumexp = ints32(job.starts + 4 * row * time, time), job.logsumexp + 4 * (row * job.heads + head) * time
    sums, taken = work, float_at(work, SUMS)
    keys = float_at(taken, TILE * across)
    values = float_at(keys, across * columns)
    scores = float_at(values, across * columns)
    transpose(key, job.key_token, time, width, keys, columns)
    pack(value, job.value_token, time, width, values)
    found = floats(sums, SUMS)
    for begun in range(0, time, BLOCK):
        end, first = min(begun + BLOCK, time), starts[begun]
        score(starts, query, job.query_token, begun, end, first, keys, width, scores, columns)
        for tile in range(begun, end, TILE):
            count = min(TILE, end - tile)
            column, until = first_column(starts, tile, first), end_column(tile + count, first)
            rows = float_at(scores, (tile - begun) * columns)
            for n in range(count):
                here = float_at(rows, n * columns)
                hide(starts, tile + n, first, column, until, here)
                _softmax(float_at(here, column), (until - column) // 16, job.scale, sums)
                floats(float_at(logsumexp, tile + n), 1)[0] = found[0] + np.float32(math.log(found[16]))
            num_keys, place = tile + count - first - column, float_at(rows, column)
            for part in range(0, width, COLUMNS):
                right, target = float_at(values, (first + column) * across + part), float_at(taken, part)
                multiply(STORED, count, place, 4, 4 * columns, right, 4 * across, num_keys, target, 4 * across)
            unpack(taken, count, width, out + job.out_token * tile, job.out_token)


@jit
def backward_head(job: Any, row: int, head: int, work: int) -> None:
    """The gradients of a head's queries, keys and values."""
    time, width, columns = job.time, job.width, padded_columns(job.time)
    out = job.out + row * job.out_row + head * job.out_head
    grad_query = job.grad_query + row * job.grad_query_row + head * job.grad_query_head
    grad_key = job.grad_key + row * job.grad_key_row + head * job.grad_key_head
    grad_value = job.grad_value + row * job.grad_value_row + head * job.grad_value_head
    starts, logsumexp = ints32(job.starts + 4 * row * time, time), job.logsumexp + 4 * (row * job.heads + head) * time
    across = whole_tiles(width)
    sums, size, line = work, across * columns, 4 * across
    of_query = float_at(sums, SUMS)
    keys_turned, values_turned = float_at(of_query, TILE * across), float_at(of_query, TILE * across + size)
    keys, queries, grads = (
        float_at(values_turned, size),
        float_at(values_turned, 2 * size),
        float_at(values_turned, 3 * size),
    )
    of_keys, of_values = float_at(grads, size), float_at(grads, 2 * size)
    probs = float_at(of_values, size)
    of_scores = float_at(probs, BLOCK * columns)
    key_at = job.key + row * job.key_row + head * job.key_head
    transpose(key_at, job.key_token, time, width, keys_turned, columns)
    pack(key_at, job.key_token, time, width, keys)
    value_at = job.value + row * job.value_row + head * job.value_head
    transpose(value_at, job.value_token, time, width, values_turned, columns)
    pack(job.query + row * job.query_row + head * job.query_head, job.query_token, time, width, queries)
    pack(job.grad_out + row * job.grad_out_row + head * job.grad_out_head, job.grad_out_token, time, width, grads)
    fill(of_keys, time * across, ZERO)
    fill(of_values, time * across, ZERO)
    for begun in range(0, time, BLOCK):
        end, first = min(begun + BLOCK, time), starts[begun] // TILE * TILE
        whole = end_column(end, first)
        score(starts, queries, line, begun, end, first, keys_turned, width, probs, columns)
        score(starts, grads, line, begun, end, first, values_turned, width, of_scores, columns)
        for tile in range(begun, end, TILE):
            count = min(TILE, end - tile)
            column, until = first_column(starts, tile, first), end_column(tile + count, first)
            offset = (tile - begun) * columns
            for n in range(count):
                prob, of_score = float_at(probs, offset + n * columns), float_at(of_scores, offset + n * columns)
                delta = floats(sums, 1)
                delta[0] = dot(out + job.out_token * (tile + n), float_at(grads, (tile + n) * across), width)
                hide(starts, tile + n, first, column, until, prob)
                lines, at = (until - column) // 16, float_at(logsumexp, tile + n)
                _score_gradient(float_at(prob, column), float_at(of_score, column), lines, job.scale, at, sums)
                for of in (prob, of_score):
                    fill(of, column, ZERO)
                    fill(float_at(of, until), whole - until, ZERO)
            num_keys, place = tile + count - first - column, float_at(of_scores, offset + column)
            for part in range(0, width, COLUMNS):
                right, target = float_at(keys, (first + column) * across + part), float_at(of_query, part)
                multiply(STORED, count, place, 4, 4 * columns, right, line, num_keys, target, line)
            unpack(of_query, count, width, grad_query + job.grad_query_token * tile, job.grad_query_token)
        add_to_keys(begun, end, first, width, columns, of_scores, queries, of_keys)
        add_to_keys(begun, end, first, width, columns, probs, grads, of_values)
    unpack(of_keys, time, width, grad_key, job.grad_key_token)
    unpack(of_values, time, width, grad_value, job.grad_value_token)


@jit
def add_to_keys(
    begun: int, end: int, first: int, width: int, columns: int, weights: int, vectors: int, out: int
) -> None:
    """To what keys, or values, get: the vectors of a block of queries, each times its weight for the key."""
    across = whole_tiles(width)
    for key in range(first, end, TILE):
        count, query = min(TILE, end - key), max(begun, key)  # no query before sees it
        here = float_at(weights, (query - begun) * columns + key - first)
        for part in range(0, width, COLUMNS):
            right, target = float_at(vectors, query * across + part), float_at(out, key * across + part)
            multiply(ADDED, count, here, 4 * columns, 4, right, 4 * across, end - query, target, 4 * across)


@jit
def dot(one: int, other: int, count: int) -> Any:
    """The sum of the products of two vectors' numbers."""
    x, y, total = floats(one, count), floats(other, count), ZERO
    for i in range(count):
        total += x[i] * y[i]
    return total


@jit_entry
def do_job(address: int) -> int:
    """A thread's part of a job: heads, as long as there are some."""
    check_address(address)
    job = job_at(address)
    work = job.work + job.work_bytes * atomic_add(address + ARRIVED, 1)
    while True:
        taken = atomic_add(address + TAKEN, 1)
        if taken >= job.rows * job.heads:
            return 0
        row, head = taken // job.heads, taken % job.heads
        if job.is_backward:
            backward_head(job, row, head, work)
        else:
            forward_head(job, row, head, work)
