"""The threads that run kernels: the caller's and its workers, which wait for jobs without the interpreter's lock.

::

    control block    sequence number | closed | kernel arguments | ... | barrier | ...     a line of the cache each
    kernel arguments of a decoder: what to do, for which model, with which memory

Workers know a control block and nothing else, so they serve whichever decoder has a job: a model and its draft share
them.
"""

import os
import threading
import weakref
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from textwright.engines.cpu.kernels.layout import CACHE_LINE, CLOSED, SEQUENCE
from textwright.kernels.kept_function import KeptFunction

SLEEP_S = 0.02
"""After so long a sleeping worker looks at the sequence number by itself."""

do_jobs = KeptFunction("textwright.engines.cpu.kernels.jobs", "do_jobs", 5)


class ThreadPool:
    """Runs one job at a time on all threads.

    A job raises the sequence number, for which workers spin: for a few milliseconds, which is longer than choosing a
    token takes; when nothing comes they sleep. They are started at the first job, and leave with the pool.

    Attributes:
        lock: held by whoever has a job, from before its arguments are written until it is done.
    """

    def __init__(self, num_threads: int) -> None:
        self.num_threads = num_threads
        self.lock = threading.Lock()
        self._crew: _Crew | None = None
        _POOLS.add(self)
        _watch_forks()

    @classmethod
    def shared(cls, num_threads: int) -> "ThreadPool":
        """The pool of so many threads in this process, as long as somebody has it.

        One thread needs no worker: such a pool is its owner's alone, and waits for nobody.
        """
        if num_threads == 1:
            return cls(1)
        # Two at once may make two: that costs threads, and is right.
        return _SHARED.get(num_threads) or _SHARED.setdefault(num_threads, cls(num_threads))

    def run(self, kernel_args: int) -> None:
        """Do the job whose ``KernelArgs`` are at that address, and wait for it. The caller holds ``lock``."""
        crew = self._crew or self._start()
        for worker in crew.workers:
            worker.wake()
        do_jobs(crew.address, kernel_args, 0, self.num_threads, int(crew.control[SEQUENCE]))

    def forget_workers(self) -> None:
        """In a forked process, which has none of its parent's threads, and where nobody would free the lock."""
        self.lock = threading.Lock()
        if self._crew is not None:
            self._crew.finalizer.detach()
            self._crew = None

    def _start(self) -> "_Crew":
        """Start the workers; whatever comes in between, none is left behind."""
        do_jobs.prepare()  # compiled once, not by each thread
        control = aligned(3 * CACHE_LINE // 8, np.int64)
        workers: list[_Worker] = []
        try:
            workers += (_Worker(control, thread, self.num_threads) for thread in range(1, self.num_threads))
            finalizer = weakref.finalize(self, _shutdown, workers, control)
            self._crew = _Crew(control, control.ctypes.data, workers, finalizer)
        except BaseException:
            control[CLOSED // 8] = 1
            raise
        return self._crew


class _Worker:
    """A thread that does its part of every job."""

    def __init__(self, control: npt.NDArray[np.int64], thread: int, num_threads: int) -> None:
        self._is_asleep = False
        self._wake = threading.Event()
        # Compiled code is handed the block's address; the thread holds the block itself as long as it looks at it.
        arguments = (control, thread, num_threads)
        threading.Thread(target=self._work, args=arguments, name="textwright-kernel", daemon=True).start()

    def wake(self) -> None:
        """See that it looks at the sequence number."""
        if self._is_asleep:
            self._wake.set()

    def _work(self, control: npt.NDArray[np.int64], thread: int, num_threads: int) -> None:
        address, seen = control.ctypes.data, 0
        while not control[CLOSED // 8]:
            seen = do_jobs(address, 0, thread, num_threads, seen)
            self._wake.clear()
            self._is_asleep = True
            # A job that comes between the last spin and the line above wakes no one: so sleep is short.
            while control[SEQUENCE] == seen and not control[CLOSED // 8] and not self._wake.wait(SLEEP_S):
                pass
            self._is_asleep = False


class _Crew(NamedTuple):
    """The workers of a pool in this process, and what they look at."""

    control: npt.NDArray[np.int64]
    address: int
    workers: list[_Worker]
    finalizer: Any


_POOLS: "weakref.WeakSet[ThreadPool]" = weakref.WeakSet()
_SHARED: "weakref.WeakValueDictionary[int, ThreadPool]" = weakref.WeakValueDictionary()


@cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all_workers)


def _forget_all_workers() -> None:
    for pool in list(_POOLS):
        pool.forget_workers()


def _shutdown(workers: list[_Worker], control: npt.NDArray[np.int64]) -> None:
    """Let the workers go."""
    control[CLOSED // 8] = 1
    for worker in workers:
        worker.wake()


def aligned(count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros that begin with a line of the cache."""
    kind = np.dtype(dtype)
    raw = np.zeros(count * kind.itemsize + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + count * kind.itemsize].view(kind)
