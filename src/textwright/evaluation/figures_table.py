"""Figures as a person reads them: name, value, interval; and beside them what they depend on."""

from collections.abc import Mapping

from textwright.core.console import stderr_console, stdout_console
from textwright.evaluation.score import Scored


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
