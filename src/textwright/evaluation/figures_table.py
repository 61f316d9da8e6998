"""Figures as a person reads them: name, value, interval; and beside them what they depend on."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from textwright.core.console import stderr_console, stdout_console
from textwright.evaluation.score import Scored

Shown = Mapping[str, Any]
"""A figure as plain values: see ``as_plain``."""


def show_figures(figures: Mapping[str, Scored]) -> None:
    """Print figures by name on standard output, and signatures on standard error."""
    out, notes = stdout_console(), stderr_console()
    for name, one in figures.items():
        if one.value != one.value:
            out.print(f"{name:34} - ({one.figure.undefined})")
            continue
        interval = f"   {one.low:,.4f} to {one.high:,.4f}" if one.low is not None and one.high is not None else ""
        out.print(f"{name:34} {one.value:,.4f}{interval}")
    first_of: dict[str, str] = {}
    for name, one in figures.items():
        if first_of.setdefault(one.signature, name) == name:
            notes.print(f"{name}: {one.signature}", soft_wrap=True)
    for reason in dict.fromkeys(one.why_no_interval for one in figures.values() if one.why_no_interval):
        notes.print(f"no interval: {reason}", soft_wrap=True)


def show_positions(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the losses at positions, as ``LossByPosition.as_json`` has them, on standard output; none leave it as it
    is."""
    if not rows:
        return
    table = Table("positions", "loss, nats", "tokens", box=None)
    for row in rows:
        places = f"{row['from']} to {row['to']}" if row["to"] > row["from"] else str(row["from"])
        table.add_row(places, f"{row['loss_nats']:.4f}", f"{row['num_tokens']:,}")
    out = stdout_console()
    out.print()
    out.print(table)


def as_plain(one: Scored) -> dict[str, Any]:
    """A figure with all that a report says of it."""
    return one.as_json() | {
        "why_no_interval": one.why_no_interval,
        "undefined": one.figure.undefined,
        "least": one.figure.low,
        "most": one.figure.high,
        "higher_is_better": one.figure.higher_is_better,
    }


def number(value: float | None) -> str:
    """A figure's value, with about four digits."""
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:,.{4 if size < 1 else 3 if size < 10 else 2 if size < 100 else 1}f}"


def interval(one: Shown, none: str = "none") -> str:
    """The ends of a figure's interval, or why there are none.

    Args:
        one: the figure.
        none: what stands where there is none; with it, the reason.
    """
    if one["low"] is not None and one["high"] is not None:
        return f"{number(one['low'])} to {number(one['high'])}"
    if not none:
        return none
    reason = one["why_no_interval"] or ("it has no meaning here" if one["value"] is None else "a single unit alone")
    return f"{none}: {reason}"


def better(one: Shown) -> str:
    """Which way a figure is better."""
    return "–" if one["higher_is_better"] is None else "more" if one["higher_is_better"] else "less"
