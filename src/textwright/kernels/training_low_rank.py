"""The gradients of products of low rank, for training on a CPU in float32.

::

    u = dout B        v = x A'        dA = u' x        dB' = v' dout           x: [tokens, in], dout: [tokens, out]

All four take little to compute and much to read, so a block of tokens is read once for all of them. The blocks of a
share are added up one after the other, and threads take shares as they come to them: the same sums, whoever takes one.
"""

from typing import Any

import numpy as np

from textwright.kernels import CACHE_LINE
from textwright.kernels.llvm_ir import LANES
from textwright.kernels.numba_intrinsics import (
    atomic_add,
    check_address,
    float_at,
    floats,
    jit,
    jit_entry,
    line_at,
    record_at,
)
from textwright.kernels.row_microkernels import OTHERS, make_dots_microkernel, make_rows_microkernel
from textwright.kernels.training_jobs import COLUMNS, LOW_RANK, LOW_RANK_BLOCK, LOW_RANK_WORK

TAKEN = LOW_RANK.fields["taken"][1]  # type: ignore[index]
VECTORS = 3
"""Tokens that are projected at once."""
ZERO = np.float32(0)
_dots3, _dots1 = map(make_dots_microkernel, (VECTORS, 1))
_add = make_rows_microkernel(OTHERS, adds=True)
job_at = record_at(LOW_RANK)


@jit
def project(vectors: int, count: int, width: int, others: int, out: int) -> None:
    """So many vectors times eight others: a line each, whose second half repeats the first."""
    done, lines = 0, width // LANES
    while done < count:
        here, place = float_at(vectors, done * width), line_at(out, done)
        if done + VECTORS <= count:
            _dots3(here, 4 * width, others, 4 * width, lines, place)
            done += VECTORS
        else:
            _dots1(here, 0, others, 4 * width, lines, place)
            done += 1


@jit
def add(weights: int, vectors: int, count: int, width: int, out: int) -> None:
    """To each of eight rows: the sum of vectors, each times its weight for the row."""
    for column in range(0, width, COLUMNS):
        here, place = float_at(vectors, column), float_at(out, column)
        _add(weights, CACHE_LINE, 4, here, 4 * width, count, place, 4 * width)


@jit
def do_share(job: Any, share: int) -> None:
    """The sums of the blocks of a share."""
    ins, outs = job.ins, job.outs
    size = OTHERS * (ins + outs)
    of_a = float_at(job.sums, share * size)
    of_b = float_at(of_a, OTHERS * ins)
    sums = floats(of_a, size)
    for i in range(len(sums)):
        sums[i] = ZERO
    u = float_at(job.work, LOW_RANK_WORK * share)
    v = line_at(u, LOW_RANK_BLOCK)
    num_blocks = (job.tokens + LOW_RANK_BLOCK - 1) // LOW_RANK_BLOCK
    for block in range(num_blocks * share // job.shares, num_blocks * (share + 1) // job.shares):
        first = block * LOW_RANK_BLOCK
        count = min(LOW_RANK_BLOCK, job.tokens - first)
        x, grad_out = float_at(job.x, first * ins), float_at(job.grad_out, first * outs)
        project(grad_out, count, outs, job.b, u)
        project(x, count, ins, job.a, v)
        add(u, x, count, ins, of_a)
        add(v, grad_out, count, outs, of_b)


@jit_entry
def do_job(address: int) -> int:
    """A thread's part of a job: shares, as long as there are some."""
    check_address(address)
    job = job_at(address)
    while True:
        share = atomic_add(address + TAKEN, 1)
        if share >= job.shares:
            return 0
        do_share(job, share)
