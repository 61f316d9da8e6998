"""The report of a training run: what it learned, how fast, how the samples grew, and how to repeat it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textwright.core.files import write_atomically
from textwright.core.progress import duration
from textwright.report.chart import Bar, Line, bar_chart, line_chart
from textwright.report.html import facts, folded, heading, page, passage, section, table

Row = Mapping[str, Any]
MAX_LISTED = 8


def write_run_report(
    path: Path,
    *,
    title: str,
    journal_rows: Sequence[Row],
    samples: Sequence[Row],
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    metrics: Mapping[str, float],
    completions: Sequence[Mapping[str, str]],
    command: str,
) -> None:
    """Write one HTML file that needs no network.

    Args:
        path: the file.
        title: the run's name.
        journal_rows: the journal.
        samples: its samples, in order.
        config: what the run was asked and decided, nested tables as nested mappings.
        environment: machine and versions.
        metrics: bits per byte by name, the model's first, baselines after it; may be empty.
        completions: ``prompt`` and ``text`` of each; may be empty.
        command: repeats the run.
    """
    train = [row for row in journal_rows if row.get("kind") == "train"]
    val = [row for row in journal_rows if row.get("kind") == "val"]
    parts = [heading(title, "a Textwright training run"), facts(_headline(train, val))]
    if train:
        parts.append(section("Loss", _losses(train, val)))
    if metrics:
        bars = [Bar(name, value) for name, value in metrics.items()]
        parts.append(section("Held-out text", bar_chart(bars, x="bits per byte, less is better")))
    if completions:
        shown = [passage(item["prompt"], item["text"]) for item in completions]
        parts.append(section("What it writes", *shown))
    if samples:
        parts.append(section("How its samples grew", *(_sample(row) for row in _some(samples, 6))))
    if train:
        parts.append(section("Speed and learning rate", _speed(train), _rates(train)))
    events = [row for row in journal_rows if row.get("kind") == "event"]
    parts.append(section("What happened", table((_when(row), row.get("message", "")) for row in events)))
    parts.append(
        section(
            "To repeat it",
            f"{passage('', command)}",
            folded("config", table(_flat(config).items())),
            folded("machine and versions", table(environment.items())),
        )
    )
    write_atomically(path, page(title, parts))


def _headline(train: Sequence[Row], val: Sequence[Row]) -> dict[str, str]:
    last: Row = train[-1] if train else {}
    losses = [row["val_loss_nats"] for row in val if row.get("val_loss_nats") is not None]
    bits = [row["val_bits_per_byte"] for row in val if row.get("val_bits_per_byte") is not None]
    headline = {
        "steps": f"{last.get('step', 0):,}",
        "tokens learned from": f"{last.get('tokens', 0):,}",
        "time": duration(last.get("elapsed_s", 0.0)),
        "tokens per second": f"{last.get('tokens_per_s') or 0:,.0f}",
    }
    if losses:
        headline["best validation loss, nats/token"] = f"{min(losses):.4f}"
    if bits:
        headline["best validation bits/byte"] = f"{min(bits):.3f}"
    return headline


def _losses(train: Sequence[Row], val: Sequence[Row]) -> str:
    lines = [Line("training", _column(train, "step"), _column(train, "loss_nats"))]
    if val:
        lines.append(Line("validation", _column(val, "step"), _column(val, "val_loss_nats"), shows_points=True))
    return line_chart(lines, x="step", y="loss, nats per token")


def _speed(train: Sequence[Row]) -> str:
    line = Line("tokens/s", _column(train, "elapsed_s"), _column(train, "tokens_per_s"))
    return line_chart([line], x="seconds", y="tokens per second")


def _rates(train: Sequence[Row]) -> str:
    line = Line("learning rate", _column(train, "step"), _column(train, "learning_rate"))
    return line_chart([line], x="step", y="learning rate")


def _column(rows: Sequence[Row], name: str) -> list[Any]:
    return [row.get(name) for row in rows]


def _sample(row: Row) -> str:
    return f"<p class='soft'>step {row.get('step', 0):,}</p>" + passage("", str(row.get("text", "")))


def _some(rows: Sequence[Row], count: int) -> list[Row]:
    """At most ``count`` of the rows, evenly spread, the first and the last among them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (count - 1))] for index in range(count)]


def _when(row: Row) -> str:
    return f"step {row.get('step', 0):,}, {duration(row.get('elapsed_s') or 0.0)}, {row.get('event', '')}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = _shortened(value)
    return flat


def _shortened(value: object) -> object:
    """A list too long to read, as its length and its ends; the run's config.toml has all of it."""
    if isinstance(value, (list, tuple)) and len(value) > MAX_LISTED:
        return f"{len(value):,}: {value[0]}, {value[1]}, ..., {value[-1]}"
    return value
