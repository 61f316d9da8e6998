"""What a person sees of a run: a live display in a terminal; elsewhere (a file, a pipe, CI) a line now and then."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from textwright.core.console import Console, stderr_console
from textwright.core.progress import PLAIN_EVERY_S, duration

SPARKS = "▁▂▃▄▅▆▇█"


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
        scores = _first_scores(self.validation)
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
            *([Text("   ").join(_fact(name, f"{value:,.3f}") for name, value in scores)] if scores else []),
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
            self.screen.print(f"step {row.get('step', 0):,}: {_found_by(row)}, time left {self._time_left()}")
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


def _first_scores(row: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The first figure of each task in a row of an evaluation, by ``TASK.METRIC``."""
    found: dict[str, tuple[str, float]] = {}
    for name, value in row.items():
        task, dot, _ = name.rpartition(".")
        if dot and task not in found:
            found[task] = (name, value)
    return list(found.values())


def _found_by(row: Mapping[str, Any]) -> str:
    """What an evaluation found, in words."""
    parts = [f"{name} {value:,.4f}" for name, value in _first_scores(row)]
    if row.get("val_loss_nats") is not None or not parts:
        loss, bits = _number(row.get("val_loss_nats"), "{:.4f}"), _number(row.get("val_bits_per_byte"), "{:.3f}")
        parts = [f"validation loss {loss} nats", f"{bits} bits/byte", *parts]
    return ", ".join(parts)


def _fact(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return "-" if value is None else form.format(value * scale)
