"""Ctrl-C while text is written: at a moment when nothing is half done."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

OnText = Callable[[str], None]


@contextlib.contextmanager
def finish_piece_first(on_text: OnText) -> Iterator[OnText]:
    """Keep Ctrl-C until a piece of text was handed over, and raise it there as KeyboardInterrupt.

    So kernels and their threads are never left in the middle of a step, and the model can go on with another text. A
    second Ctrl-C does not wait: it is raised at once, with the signal's number, and should end the program. Outside
    the main thread, where Python allows no handlers, Ctrl-C does what it always does.

    Args:
        on_text: called with each piece; the block gets the function to call instead.
    """
    if threading.current_thread() is not threading.main_thread():
        yield on_text
        return
    is_asked = threading.Event()

    def note(number: int, _frame: FrameType | None) -> None:
        if is_asked.is_set():
            raise KeyboardInterrupt(number)
        is_asked.set()

    def hand_over(text: str) -> None:
        on_text(text)
        if is_asked.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield hand_over
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
    if is_asked.is_set():
        raise KeyboardInterrupt
