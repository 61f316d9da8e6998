"""The threads that run kernels: this one and its helpers, which wait for jobs without the interpreter's lock."""

import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from textwright.engines.cpu.kernels.forward import run_head, run_step
from textwright.engines.cpu.kernels.layout import HEAD, JOB, STEP, Shape
from textwright.engines.cpu.kernels.llvm_ir import LINE
from textwright.engines.cpu.kernels.numba_intrinsics import Floats, atomic_add, atomic_load, give_way, jit, pause

TICKET, CLOSED, BARRIER = 0, 8, LINE
"""Places on the board, in bytes. Words that threads write to in a step stand on lines of their own."""
KIND_WAITS = 200
"""Looks for a job after which a helper lets other threads have its core between looks."""
MOST_WAITS = 20_000
"""Looks after which a helper goes to sleep; a few milliseconds, longer where others want its core."""
NAP_S = 0.02
"""After so long a sleeping helper looks at the board by itself."""


class Team:
    """Runs one job at a time on all threads.

    A job is a ticket: helpers look for its number to rise. They look for a few milliseconds, which is longer than
    choosing a token takes, and sleep when nothing comes.
    """

    def __init__(self, shape: Shape, table: npt.NDArray[np.int64], scales: Floats, num_threads: int) -> None:
        self.job = np.zeros(1, JOB)
        self._board = aligned(3 * LINE // 8, np.int64)
        self._arguments = (shape, table, scales, self.job, self._board.ctypes.data)
        self._num_threads = num_threads
        self._helpers: list[_Helper] = []
        self._hire()
        weakref.finalize(self, _dismiss, self._helpers, self._board)

    def run(self, what: int) -> None:
        """Do the job as it is described, and wait for it. One at a time: the description is everyone's."""
        if self._process != os.getpid():
            self._hire()  # a forked process has none of its parent's threads
        self.job[0]["what"] = what
        for helper in self._helpers:
            helper.call()
        do_jobs(*self._arguments, 0, self._num_threads, int(self._board[TICKET]))

    def _hire(self) -> None:
        """Start the helpers, in this process."""
        self._process = os.getpid()
        ticket, parts = int(self._board[TICKET]), range(1, self._num_threads)
        self._helpers[:] = [_Helper(self._arguments, self._board, part, self._num_threads, ticket) for part in parts]


class _Helper:
    """A thread with a place in the team."""

    def __init__(
        self, arguments: tuple[Any, ...], board: npt.NDArray[np.int64], part: int, parts: int, seen: int
    ) -> None:
        self.is_dismissed = False
        self._is_asleep = False
        self._wake = threading.Event()
        # Compiled code is handed the board's address; the thread holds the board itself as long as it looks at it.
        held = (arguments, board, part, parts, seen)
        threading.Thread(target=self._help, args=held, name="textwright-kernel", daemon=True).start()

    def call(self) -> None:
        """See that it looks at the board."""
        if self._is_asleep:
            self._wake.set()

    def _help(self, arguments: tuple[Any, ...], board: npt.NDArray[np.int64], part: int, parts: int, seen: int) -> None:
        while not self.is_dismissed:
            seen = do_jobs(*arguments, part, parts, seen)
            self._wake.clear()
            self._is_asleep = True
            # A ticket that comes between the last look and the line above wakes no one: so sleep is short.
            while board[TICKET] == seen and not self.is_dismissed and not self._wake.wait(NAP_S):
                pass
            self._is_asleep = False


def _dismiss(helpers: Sequence[_Helper], board: npt.NDArray[np.int64]) -> None:
    """Send the helpers away."""
    board[CLOSED // 8] = 1
    for helper in helpers:
        helper.is_dismissed = True
        helper.call()


@jit
def do_jobs(m: Shape, table: Any, scales: Floats, jobs: Any, board: int, part: int, parts: int, seen: int) -> int:
    """Do a thread's part of jobs; returns the number of the last.

    The first thread raises the ticket and does that one job. In one compiled call: a KeyboardInterrupt between the two
    would leave the others at a barrier. A helper does jobs until none has come for a while, or the board is closed.
    """
    if part == 0:
        atomic_add(board + TICKET, 1)
    looks = 0
    while looks < MOST_WAITS and atomic_load(board + CLOSED) == 0:
        if atomic_load(board + TICKET) == seen:
            pause()
            looks += 1
            if looks > KIND_WAITS:
                give_way()
            continue
        seen += 1
        looks = 0
        j = jobs[0]
        if j.what == STEP:
            run_step(m, table, scales, j, board + BARRIER, part, parts)
        elif j.what == HEAD:
            run_head(m, j, board + BARRIER, part, parts)
        if part == 0:
            break
    return seen


def aligned(count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Zeros that begin with a line of the cache."""
    kind = np.dtype(dtype)
    raw = np.zeros(count * kind.itemsize + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + count * kind.itemsize].view(kind)
