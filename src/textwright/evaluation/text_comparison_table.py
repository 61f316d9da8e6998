"""Several models on one text, as a person reads it."""

import math
from collections.abc import Mapping, Sequence

from rich.table import Column, Table

from textwright.core.console import stderr_console, stdout_console
from textwright.core.words import counted
from textwright.evaluation.text_comparison import Pair, Row


def show_comparison(
    rows: Mapping[str, Row], compressors: Mapping[str, float], pairs: Sequence[Pair], unit: str, num_units: int
) -> None:
    """Print what each needs for a byte, and what may be said of each pair, on standard output.

    Args:
        rows: of each model, and of the n-gram.
        compressors: bits per byte of programs that pack.
        pairs: of the rows.
        unit: what intervals are made over.
        num_units: how many there are.
    """
    out = stdout_console()
    numbers = {name: str(number) for number, name in enumerate(rows, start=1)}
    table = Table("", Column("model", overflow="fold"), "bits per byte", "95 % interval", box=None)
    for name, row in rows.items():
        table.add_row(numbers[name], name, f"{row.bits_per_byte:.4f}", _interval(row.low, row.high, ".4f"))
    for name, bits in compressors.items():
        table.add_row("", name, f"{bits:.4f}", "-")
    verdicts = Table("A", "B", "B - A", "95 % interval", "p", "verdict", box=None)
    for pair in pairs:
        interval = _interval(pair.low, pair.high, "+.4f")
        p = "-" if math.isnan(pair.p_corrected) else f"{pair.p_corrected:.4f}"
        row_of_pair = (numbers[pair.a], numbers[pair.b], f"{pair.difference:+.4f}", interval, p)
        verdicts.add_row(*row_of_pair, pair.words(unit))
    out.print(table)
    out.print()
    out.print(verdicts)
    units = counted(num_units, unit.removesuffix("s"))
    stderr_console().print(f"intervals over {units}; p corrected for all pairs (Holm)")


def _interval(low: float, high: float, form: str) -> str:
    """As a person reads it; there is none of one block alone."""
    return "-" if math.isnan(low) else f"{low:{form}} to {high:{form}}"
