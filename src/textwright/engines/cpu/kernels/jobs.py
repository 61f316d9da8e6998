"""What a thread of the pool runs: jobs, one after the other; all that Python calls of the kernels for decoding."""

from textwright.engines.cpu.kernels.forward import run_forward, run_head, run_log_sums
from textwright.engines.cpu.kernels.layout import (
    ARGUMENTS,
    BARRIER,
    CLOSED,
    FORWARD,
    HEAD,
    KERNEL_ARGS,
    LOG_SUMS,
    SEQUENCE,
)
from textwright.kernels.numba_intrinsics import (
    atomic_add,
    atomic_load,
    atomic_store,
    check_address,
    jit_entry,
    pause,
    record_at,
    sched_yield,
)

SPINS_ALONE = 200
"""Spins of a waiting worker, after which it lets other threads have its core between them."""
MAX_SPINS = 20_000
"""After so many it returns, and sleeps; a few milliseconds, longer where others want its core."""

kernel_args_at = record_at(KERNEL_ARGS)


@jit_entry
def do_jobs(control: int, kernel_args: int, thread: int, num_threads: int, seen: int) -> int:
    """Do a thread's part of jobs; returns the sequence number of the last.

    The first thread says which job, raises the sequence number and does that one job. In one compiled call: a
    KeyboardInterrupt between the two would leave the others at a barrier. A worker does jobs until none has come for a
    while, or the pool is closed.
    """
    if thread == 0:
        atomic_store(control + ARGUMENTS, kernel_args)
        atomic_add(control + SEQUENCE, 1)
    spins = 0
    while spins < MAX_SPINS and atomic_load(control + CLOSED) == 0:
        if atomic_load(control + SEQUENCE) == seen:
            pause()
            spins += 1
            if spins > SPINS_ALONE:
                sched_yield()
            continue
        seen += 1
        spins = 0
        address = atomic_load(control + ARGUMENTS)
        check_address(address)
        args = kernel_args_at(address)
        if args.kernel == FORWARD:
            run_forward(args, control + BARRIER, thread, num_threads)
        elif args.kernel == HEAD:
            run_head(args, control + BARRIER, thread, num_threads)
        elif args.kernel == LOG_SUMS:
            run_log_sums(args, control + BARRIER, thread, num_threads)
        if thread == 0:
            break
    return seen
