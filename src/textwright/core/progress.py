"""What a person sees while work goes on. Everything here goes to standard error; results own standard output.

In a terminal it is a live display; anywhere else (a file, a pipe, CI) it is a plain line now and then.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from textwright.core.console import Console, stderr_console

SPARKS = "▁▂▃▄▅▆▇█"
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


class TrainingDisplay:
    """Draws the rows of a training journal as they come: numbers, two curves, time left, the latest sample.

    It reads rows only, so it draws a run of this process or, fed from its journal, one of another.
    """

    def __init__(self, title: str, screen: Console | None = None) -> None:
        self.title = title
        self.screen = screen or stderr_console()
        self.num_steps = 0
        self.begun: dict[str, Any] = {}
        self.latest: dict[str, Any] = {}
        self.validation: dict[str, Any] = {}
        self.losses: deque[float] = deque(maxlen=4096)
        self.val_losses: list[float] = []
        self.sample = ""
        self.events: deque[str] = deque(maxlen=3)
        self._printed_s = -PLAIN_EVERY_S
        self._drawn_s = 0.0
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.screen.is_terminal:
            self._live = Live(console=self.screen, auto_refresh=False, transient=False)
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.update(self.draw(), refresh=True)
            self._live.__exit__(None, None, None)
            self._live = None

    def show(self, row: dict[str, Any]) -> None:
        """Take one journal row and refresh the display."""
        kind = row.get("kind")
        if kind == "train":
            self.latest = row
            if row.get("loss_nats") is not None:
                self.losses.append(row["loss_nats"])
        elif kind == "val":
            self.validation = row
            if row.get("val_loss_nats") is not None:
                self.val_losses.append(row["val_loss_nats"])
        elif kind == "sample":
            self.sample = f"step {row.get('step', 0):,}: {row.get('text', '')}"
        elif kind == "event":
            if "num_steps" in row:
                self.num_steps, self.begun = row["num_steps"], row
            if line := str(row.get("message", row.get("event", ""))):
                self.events.append(line)
        if self._live is None:
            self._print_plainly(row)
        elif kind != "train" or time.monotonic() - self._drawn_s > 0.2:
            self._drawn_s = time.monotonic()
            self._live.update(self.draw(), refresh=True)

    def note(self, line: str) -> None:
        """A line that is no row of the journal; it stays above the display."""
        self.screen.print(line)

    def draw(self) -> RenderableType:
        """The display as it stands."""
        row, step = self.latest, self.latest.get("step", 0)
        numbers = Table.grid(padding=(0, 3))
        numbers.add_row(
            _fact("loss", _number(row.get("loss_nats"), "{:.3f}")),
            _fact("validation", _number(self.validation.get("val_loss_nats"), "{:.3f}")),
            _fact("bits/byte", _number(self.validation.get("val_bits_per_byte"), "{:.3f}")),
        )
        numbers.add_row(
            _fact("tokens/s", _number(row.get("tokens_per_s"), "{:,.0f}")),
            _fact("memory", _number(row.get("memory_bytes"), "{:.2f} GB", 1e-9)),
            _fact("time left", self._time_left()),
        )
        parts: list[RenderableType] = [
            numbers,
            Text.assemble(("train ", "dim"), (sparkline(self.losses, 60), "cyan")),
            Text.assemble(("val   ", "dim"), (sparkline(self.val_losses, 60), "green")),
        ]
        if self.num_steps:
            line = Table.grid(padding=(0, 2))
            line.add_row(
                ProgressBar(total=self.num_steps, completed=step, width=60), f"step {step:,} of {self.num_steps:,}"
            )
            parts.append(line)
        parts += [Text(event, style="dim") for event in self.events]
        if self.sample:
            parts.append(Panel(Text(self.sample[:600]), title="a sample", border_style="dim", title_align="left"))
        return Panel(Group(*parts), title=Text(self.title), title_align="left")

    def _time_left(self) -> str:
        """At the pace since this session's first step; what was done before it, such as trial steps, is no guide."""
        step = self.latest.get("step", 0)
        num_done = step - self.begun.get("step", 0)
        if num_done <= 0 or not self.num_steps:
            return "-"
        took_s = self.latest.get("elapsed_s", 0.0) - self.begun.get("elapsed_s", 0.0)
        return duration(took_s / num_done * max(0, self.num_steps - step))

    def _print_plainly(self, row: dict[str, Any]) -> None:
        kind = row.get("kind")
        if kind == "event" and row.get("message"):
            self.screen.print(str(row["message"]))
        elif kind == "val":
            self.screen.print(
                f"step {row.get('step', 0):,}: validation loss {_number(row.get('val_loss_nats'), '{:.4f}')} nats, "
                f"{_number(row.get('val_bits_per_byte'), '{:.3f}')} bits/byte, time left {self._time_left()}"
            )
        elif kind == "sample":
            self.screen.print(f"sample at {' '.join(self.sample[:200].split())}")
        elif kind == "train" and time.monotonic() - self._printed_s > PLAIN_EVERY_S:
            self._printed_s = time.monotonic()
            self.screen.print(
                f"step {row.get('step', 0):,}: loss {_number(row.get('loss_nats'), '{:.4f}')} nats, "
                f"{_number(row.get('tokens_per_s'), '{:,.0f}')} tokens/s, time left {self._time_left()}"
            )


def sparkline(values: "deque[float] | list[float]", width: int) -> str:
    """A curve one line high: the values' means in ``width`` equal parts, drawn between their least and greatest."""
    if not values:
        return ""
    points = list(values)
    width = min(width, len(points))
    means = []
    for column in range(width):
        part = points[column * len(points) // width : (column + 1) * len(points) // width]
        means.append(sum(part) / len(part))
    low, high = min(means), max(means)
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(SPARKS[round((mean - low) * scale)] for mean in means)


def duration(seconds: float) -> str:
    """Seconds as a person says them: ``45 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _fact(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else form.format(value * scale)
