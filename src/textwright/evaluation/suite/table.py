"""A suite's figures as a person reads them."""

from rich.table import Column, Table

from textwright.core.console import stderr_console, stdout_console
from textwright.core.words import counted
from textwright.evaluation.suite.base import SuiteFigure, SuiteReport


def show_suite(report: SuiteReport) -> None:
    """Print the figures by row and protocol on standard output, with what differs under them; on standard error what
    was left out."""
    table = Table("figure", "protocol", "value", "95 % interval", Column("n", justify="right"), "", box=None)
    row = ""
    for number, one in enumerate(report.figures, start=1):
        interval = "-" if one.low is None or one.high is None else f"{one.low:,.4f} to {one.high:,.4f}"
        shown = one.row if one.row != row else ""
        row = one.row
        table.add_row(shown, one.protocol, f"{one.value:,.4f}", interval, _units(one), f"[{number}]")
    out, notes = stdout_console(), stderr_console()
    out.print(table)
    out.print()
    for number, one in enumerate(report.figures, start=1):
        out.print(f"[{number}] {one.differs}", soft_wrap=True)
    for note in report.notes:
        notes.print(note, soft_wrap=True)
    if report.left_out:
        options = ", ".join(f"--{name}" for name in report.left_out)
        notes.print(f"left out, as no file was given: {options}", soft_wrap=True)


def _units(one: SuiteFigure) -> str:
    first, space, rest = one.unit.partition(" ")
    return counted(one.n, f"{first.removesuffix('s')}{space}{rest}")
