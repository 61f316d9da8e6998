"""Several runs on one page: their curves in one chart, what differs in their configs, their figures, their samples."""

from collections.abc import Iterator, Sequence

from textwright.core.progress import duration
from textwright.report.chart import Line, line_chart
from textwright.report.html import beside, excerpt, grid, note, passage, section
from textwright.runs.record import VAL_LOSS, RunRecord
from textwright.runs.report import NO_INTERVAL, column, names_in, show, some

MAX_SAMPLES = 3


def compared_runs_parts(records: Sequence[RunRecord], names: Sequence[str]) -> list[str]:
    """The parts of a page of several runs.

    Args:
        records: the runs.
        names: of each, different ones.
    """
    parts = [section("Loss", *_losses(records, names))]
    parts.append(section("Figures", grid(("figure", *names), _figures(records)) + note(NO_INTERVAL)))
    differing = list(_differences(records))
    found = grid(("setting", *names), differing, long=names) if differing else note("They have the same settings.")
    parts.append(section("What differs in their settings", found))
    parts += _samples(records, names)
    commands = (passage("", record.command) for record in records)
    parts.append(section("To repeat them", *commands))
    return parts


def _losses(records: Sequence[RunRecord], names: Sequence[str]) -> Iterator[str]:
    """Training and validation loss of all, over tokens and over seconds."""
    for value, title in (("loss_nats", "training loss"), (VAL_LOSS, "validation loss")):
        for over, x in (("tokens", "tokens learned from"), ("elapsed_s", "seconds")):
            lines = [_line(record, name, value, over) for record, name in zip(records, names, strict=True)]
            if any(line.x for line in lines):
                yield line_chart([line for line in lines if line.x], x=x, y=f"{title}, nats per token")


def _line(record: RunRecord, name: str, value: str, over: str) -> Line:
    rows = record.rows("train" if value == "loss_nats" else "val")
    if over == "tokens" and value == VAL_LOSS:
        tokens = {row.get("step"): row.get("tokens") for row in record.rows("train")}
        rows = [{**row, "tokens": tokens.get(row.get("step"))} for row in rows]
    known = [row for row in rows if row.get(value) is not None and row.get(over) is not None]
    return Line(name, column(known, over), column(known, value), shows_points=value == VAL_LOSS)


def _figures(records: Sequence[RunRecord]) -> Iterator[tuple[str, ...]]:
    """How long each learned, and what it came to."""
    last = [record.last_train for record in records]
    yield "steps", *(f"{row.get('step', 0):,}" for row in last)
    yield "tokens learned from", *(f"{row.get('tokens', 0):,}" for row in last)
    yield "time", *(duration(row.get("elapsed_s", 0.0)) for row in last)
    yield "tokens per second", *(f"{row.get('tokens_per_s') or 0:,.0f}" for row in last)
    yield "last training loss", *(show(row.get("loss_nats")) for row in last)
    for name in names_in([record.best_figures for record in records]):
        yield name, *(show(record.best_figures.get(name)) for record in records)
    for name in dict.fromkeys(name for record in records for name in record.bits_per_byte):
        yield f"bits per byte: {name}", *(show(record.bits_per_byte.get(name)) for record in records)


def _differences(records: Sequence[RunRecord]) -> Iterator[tuple[str, ...]]:
    """The settings that are not the same in all."""
    names = dict.fromkeys(name for record in records for name in record.settings)
    for name in names:
        values = [str(record.settings.get(name, "–")) for record in records]
        if len(set(values)) > 1:
            yield name, *values


def _samples(records: Sequence[RunRecord], names: Sequence[str]) -> list[str]:
    """Of each run as many samples as of the others, from its beginning to its end, beside each other."""
    chosen = [some(record.samples, MAX_SAMPLES) for record in records]
    if not all(chosen):
        return []
    rows = []
    for number in range(min(map(len, chosen))):
        place = [samples[number if number < len(samples) - 1 else -1] for samples in chosen]
        texts = zip(names, place, strict=True)
        rows.append(
            beside(
                note(f"{name}, step {row.get('step', 0):,}") + passage("", excerpt(str(row.get("text", "")), 600))
                for name, row in texts
            )
        )
    return [section("Samples", *rows)]
