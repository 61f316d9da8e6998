"""The one thread of a process that decodes with kernels; torch has a single thread there, elsewhere its usual number.

::

    Python threads that call ──work──> queue ──> engine thread ──result──> whoever waits for it

torch keeps a number of threads for each Python thread, and one that new threads begin with; setting it sets both. Here
it is set once, where nobody else works, so that torch's threads do not spin on the cores that the kernels' wait on.
Work that overlaps takes turns.
"""

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

import torch

T = TypeVar("T")
Work = queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]]


class EngineThread:
    """Does work one after the other, on a thread of its own."""

    def __init__(self) -> None:
        self._process = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[], T]) -> T:
        """Do work there, and wait for it. Work may itself ask for more.

        Raises:
            KeyboardInterrupt: Ctrl-C meanwhile; the work in hand was finished first.
        """
        self._start()
        if threading.get_ident() == self._ident:
            return work()
        result: Future[T] = Future()
        self._queue.put((work, result))
        try:
            return result.result()
        except KeyboardInterrupt:
            wait([result])
            raise

    def _start(self) -> None:
        """Start the thread, in this process: a forked one has none of its parent's."""
        if self._process == os.getpid():
            return
        with self._lock:
            if self._process == os.getpid():
                return
            self._queue: Work = queue.SimpleQueue()
            is_ready = threading.Event()
            thread = threading.Thread(
                target=self._work, args=(self._queue, is_ready), name="textwright-engine", daemon=True
            )
            thread.start()
            is_ready.wait()
            self._ident, self._process = thread.ident, os.getpid()

    @staticmethod
    def _work(
        work_queue: "queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]]", is_ready: threading.Event
    ) -> None:
        # A thread takes over what new ones begin with at its first question, even after it was told another number.
        usual = torch.get_num_threads()
        torch.set_num_threads(1)
        # What new threads begin with, back to what it was.
        setting = threading.Thread(target=torch.set_num_threads, args=(usual,))
        setting.start()
        setting.join()
        is_ready.set()
        while True:
            work, result = work_queue.get()
            try:
                found = work()
            except BaseException as error:  # whoever waits gets it
                result.set_exception(error)
            else:
                result.set_result(found)
            del work, result


ENGINE = EngineThread()
"""That of this process. It starts when there is work."""
