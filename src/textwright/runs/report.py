"""The report of a training run: its text, what it learned, how fast, how the samples grew, and how to repeat it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textwright.core.files import write_atomically
from textwright.core.progress import duration
from textwright.core.user_paths import given_path
from textwright.data.manifest import DataManifest
from textwright.report.chart import Bar, Line, bar_chart, line_chart
from textwright.report.html import (
    MAX_LISTED,
    excerpt,
    facts,
    folded,
    grid,
    heading,
    note,
    page,
    passage,
    section,
    table,
)
from textwright.runs.record import NOT_FIGURES, VAL_LOSS, Row, RunRecord, is_number

MAX_EVENTS = 120
"""Of a run with more, the first and the last half of so many are told."""
MAX_SAMPLES = 6
NO_INTERVAL = "No intervals while it trains: all figures are of the same part of the text, or the same examples."


def write_run_report(path: Path, record: RunRecord) -> None:
    """Write one HTML file that needs no network.

    Raises:
        InputError: it cannot be written.
    """
    with given_path(path):
        write_atomically(path, page(record.name, run_parts(record)))


def run_parts(record: RunRecord) -> list[str]:
    """The parts of the page of one run."""
    train, val = record.rows("train"), record.rows("val")
    parts = [heading(record.name, "a Textwright training run"), facts(_headline(record))]
    if train:
        parts.append(section("Loss", _losses(train, val), *_losses_by_task(train, val)))
    if scores := list(_task_scores(val)):
        parts.append(section("Tasks", *scores))
    if record.best_figures:
        parts.append(section("Validation", _validation(record)))
    if record.bits_per_byte:
        bars = [Bar(name, value) for name, value in record.bits_per_byte.items()]
        no_interval = note("One text, read once: no interval. textwright evaluate with several models gives them.")
        parts.append(section("Held-out text", bar_chart(bars, x="bits per byte, less is better") + no_interval))
    if record.completions:
        shown = [passage(excerpt(item["prompt"]), excerpt(item["text"])) for item in record.completions]
        parts.append(section("What it writes", *shown))
    if record.samples:
        parts.append(section("How its samples grew", *map(_sample, some(record.samples, MAX_SAMPLES))))
    if record.data is not None:
        parts.append(section("Data", *_data(record, record.data)))
    if train:
        parts.append(section("Speed and learning rate", _speed(train), _rates(train)))
    parts.append(section("What happened", _events(record.rows("event"))))
    parts.append(
        section(
            "To repeat it",
            passage("", record.command),
            folded("config", table(record.settings.items())),
            folded("machine and versions", table(record.environment.items() or [("machine", "not written down")])),
        )
    )
    return parts


def _headline(record: RunRecord) -> dict[str, str]:
    last, val = record.last_train, record.rows("val")
    losses = [row[VAL_LOSS] for row in val if row.get(VAL_LOSS) is not None]
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
    lines = [Line("training", column(train, "step"), column(train, "loss_nats"))]
    if any(row.get(VAL_LOSS) is not None for row in val):
        lines.append(Line("validation", column(val, "step"), column(val, VAL_LOSS), shows_points=True))
    return line_chart(lines, x="step", y="loss, nats per token")


def _losses_by_task(train: Sequence[Row], val: Sequence[Row]) -> Iterator[str]:
    """Of training with several kinds of terms, each by itself."""
    for rows, prefix, told in ((train, "loss_nats/", "training"), (val, f"{VAL_LOSS}/", "validation")):
        names = [name for name in names_in(rows) if name.startswith(prefix)]
        if names:
            lines = [Line(name.removeprefix(prefix), column(rows, "step"), column(rows, name)) for name in names]
            yield line_chart(lines, x="step", y=f"{told} loss, nats per token")


def _task_scores(val: Sequence[Row]) -> Iterator[str]:
    """Every figure of a task, those of one name in one chart, as they share its scale."""
    by_figure: dict[str, list[str]] = {}
    for name in [name for name in names_in(val) if "." in name]:
        by_figure.setdefault(name.partition(".")[2], []).append(name)
    for figure, names in by_figure.items():
        lines = [Line(name, *_known(val, name), shows_points=True) for name in names]
        yield line_chart(lines, x="step", y=figure)


def _known(rows: Sequence[Row], name: str) -> tuple[list[Any], list[Any]]:
    """Where a figure was known, and what it was: what was not measured in between is no gap."""
    known = [row for row in rows if row.get(name) is not None]
    return column(known, "step"), column(known, name)


def _validation(record: RunRecord) -> str:
    first = next(iter(record.rows("val")), {})
    rows = (
        (name, show(value), show(first.get(name)), show(record.rows("val")[-1].get(name)))
        for name, value in record.best_figures.items()
    )
    return grid(("figure", "of the model that is left", "at first", "at last"), rows) + note(NO_INTERVAL)


def show(value: object) -> str:
    """A journal's number."""
    return f"{value:,.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else "–"


def _data(record: RunRecord, data: DataManifest) -> Iterator[str]:
    splits = [
        (name, f"{split.num_documents:,}", f"{split.num_bytes:,}", f"{split.num_tokens:,}", split.fingerprint)
        for name, split in data.splits.items()
        if split.num_tokens
    ]
    yield grid(
        ("part", "documents", "bytes", "tokens", "SHA-256 of its tokens"), splits, long=("SHA-256 of its tokens",)
    )
    settings = record.settings
    rows = {
        "files": _names(record.config.get("data")) or "none: given in Python",
        "files to validate on": _names(record.config.get("val_data")) or f"none given: {data.split}",
        "tokenizer": settings.get("tokenizer", "that of the model it began with"),
        "SHA-256 of the files": data.sources_sha256 or "none: the text came from no files",
        "SHA-256 of all tokens": data.fingerprint,
    }
    yield table(rows.items())


def _names(paths: object) -> str:
    """Files as they were given, a few of many."""
    given = [str(path) for path in paths] if isinstance(paths, list | tuple) else []
    more = f" and {len(given) - MAX_LISTED:,} more" if len(given) > MAX_LISTED else ""
    return f"{', '.join(given[:MAX_LISTED])}{more}"


def _speed(train: Sequence[Row]) -> str:
    line = Line("tokens/s", column(train, "elapsed_s"), column(train, "tokens_per_s"))
    return line_chart([line], x="seconds", y="tokens per second")


def _rates(train: Sequence[Row]) -> str:
    line = Line("learning rate", column(train, "step"), column(train, "learning_rate"))
    return line_chart([line], x="step", y="learning rate")


def column(rows: Sequence[Row], name: str) -> list[Any]:
    """The values of a name, None where a row has none."""
    return [row.get(name) for row in rows]


def names_in(rows: Sequence[Row]) -> list[str]:
    """The names of figures in rows, in the order in which they come."""
    found = dict.fromkeys(name for row in rows for name, value in row.items() if is_number(value))
    return [name for name in found if name not in NOT_FIGURES]


def _sample(row: Row) -> str:
    texts, prompts = row.get("texts") or [row.get("text", "")], row.get("prompts") or [""]
    if len(texts) != len(prompts):
        texts, prompts = texts[:1], [""]
    pairs = zip(map(str, texts), map(str, prompts), strict=True)
    shown = (passage(excerpt(prompt), excerpt(text[len(prompt) :])) for text, prompt in pairs)
    return "".join([note(f"step {row.get('step', 0):,}"), *shown])


def some(rows: Sequence[Row], count: int) -> list[Row]:
    """At most ``count`` of the rows, evenly spread, the first and the last among them."""
    if len(rows) <= count:
        return list(rows)
    return [rows[round(index * (len(rows) - 1) / (count - 1))] for index in range(count)]


def _events(events: Sequence[Row]) -> str:
    half = MAX_EVENTS // 2
    left = len(events) - 2 * half
    shown = events if left <= 0 else [*events[:half], *events[-half:]]
    lines = table((_when(row), excerpt(str(row.get("message", "")), 400)) for row in shown)
    return lines if left <= 0 else note(f"{left:,} in between are left out; the journal has them.") + lines


def _when(row: Row) -> str:
    return f"step {row.get('step', 0):,}, {duration(row.get('elapsed_s') or 0.0)}, {row.get('event', '')}"
