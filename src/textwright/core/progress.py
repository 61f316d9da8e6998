"""How far work is that takes a while. Everything here goes to standard error; results own standard output.

In a terminal it is a live display; anywhere else (a file, a pipe, CI) it is a plain line now and then.
"""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from textwright.core.console import Console, stderr_console

PLAIN_EVERY_S = 10.0


@contextlib.contextmanager
def bar(label: str, total: int, *, unit: str = "") -> Iterator[Callable[[int], None]]:
    """How far something is: a bar in a terminal, elsewhere a line now and then, with the time left.

    Args:
        label: what is being done.
        total: the amount at the end; ``unit="bytes"`` shows megabytes.

    Yields:
        A function that takes how much has been done so far.
    """
    screen = stderr_console()
    if not screen.is_terminal:
        screen.print(f"{label} ...")
        yield _Lines(screen, label, total).show
        return
    count: ProgressColumn = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), count, TimeRemainingColumn())
    with RichProgress(*columns, console=screen, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield lambda done: progress.update(task, completed=done)


class _Lines:
    """A progress bar for files and pipes."""

    def __init__(self, screen: Console, label: str, total: int) -> None:
        self._screen, self._label, self._total = screen, label, total
        self._begun_s = self._printed_s = time.monotonic()

    def show(self, done: int) -> None:
        now_s = time.monotonic()
        if now_s - self._printed_s < PLAIN_EVERY_S or not 0 < done < self._total:
            return
        self._printed_s = now_s
        left_s = (now_s - self._begun_s) / done * (self._total - done)
        self._screen.print(f"{self._label}: {done / self._total:.0%}, time left {duration(left_s)}")


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``45 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
