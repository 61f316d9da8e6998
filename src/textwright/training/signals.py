"""Ctrl-C and SIGTERM while training: the step in hand is finished and saved first."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Which signal asked training to end; ``number`` is None while none did."""

    number: int | None = None


def obey(number: int | None) -> None:
    """Let a signal that was noted do what it does, now that everything is saved: raise KeyboardInterrupt, say."""
    if number is not None:
        signal.raise_signal(number)


@contextlib.contextmanager
def graceful_shutdown() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM instead of obeying them at once; a second one is obeyed at once.

    A signal that the program ignores stays ignored. Outside the main thread, where Python allows no handlers, signals
    do what they always do.
    """
    stop_request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop_request
        return

    def note(number: int, _frame: FrameType | None) -> None:
        if stop_request.number is not None:
            raise KeyboardInterrupt(number)
        stop_request.number = number

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield stop_request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
