"""A ``DataCheck`` as a person reads it."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from textwright.core.console import Console, stderr_console, stdout_console
from textwright.data.check import Repetitions
from textwright.text.pair_formats import FORMATS

if TYPE_CHECKING:
    from textwright.api.data_check import DataCheck, FileFound, ShownExample, SideCheck

STYLES = {"read": "", "learned": "bold green", "cut": "red strike"}
MARKS = {"read": ("", ""), "learned": ("[[", "]]"), "cut": ("[-", "-]")}
"""A file has no colours."""
SHOWN_FILES = 8
HEAD, TAIL = 600, 200
"""Characters that are shown of a longer stretch of an example."""


def show_check(check: "DataCheck") -> None:
    """Tell a person: what was found on standard output, and what speaks against it beside it."""
    out = stdout_console()
    _show_side(out, "training", check.train, check)
    if check.val is not None:
        _show_side(out, "validation", check.val, check)
        for line in _repeated(check.in_both, "to validate on", "learned from too"):
            out.print(line)
        if not check.in_both.num_whole and not check.in_both.num_prompts:
            out.print("training and validation have no example and no prompt in common")
    if check.epoch is not None:
        epoch = check.epoch
        share = 100 * epoch.num_padding / (epoch.num_rows * epoch.row_length)
        without = "an epoch without what is too long" if _is_refused(check.train, check) else "an epoch"
        out.print(
            f"{without}: {epoch.num_steps:,} steps of {check.batch_size:,} rows; {epoch.num_rows:,} rows of "
            f"{epoch.row_length:,} tokens, {share:.3g} % of them empty"
        )
    if check.frozen_bytes is not None:
        out.print(
            f"what is frozen is kept for each row: {check.frozen_bytes / 1e6:,.0f} MB of disk, until the run ends"
        )
    notes = stderr_console()
    notes.print("what is learned is green, or in [[ ]]; what is cut off is red, or in [- -]")
    if check.problem is not None:
        notes.print(Text(check.problem, style="red"))


def _show_side(out: Console, title: str, side: "SideCheck", check: "DataCheck") -> None:
    out.print(Text(f"{title}: {_counted(side.num_examples, 'example')}", style="bold"))
    for line in _of_files(side.files):
        out.print(f"  {line}", soft_wrap=True)
    if any(file.format is None for file in side.files) or not side.files:
        known = "; ".join(map(str, FORMATS.values()))
        out.print(Text(f"  expected a text, or instead of a field text: {known}", style="dim"), soft_wrap=True)
    for line in (
        side.left_out,
        f"{side.num_empty:,} without any text left out" if side.num_empty else "",
        f"{side.num_null:,} rows with nothing to learn passed over" if side.num_null else "",
    ):
        if line:
            out.print(f"  {line}", soft_wrap=True)
    for example in side.examples:
        _show_example(out, example)
    if side.lengths is not None:
        found = side.lengths
        out.print(
            f"tokens of an example: {found.smallest:,} to {found.largest:,}, half of them at most {found.median:,.0f}, "
            f"95 % at most {found.percentile_95:,.0f}",
            soft_wrap=True,
        )
        out.print(f"  {found.smallest:,} {found.line} {found.largest:,}", soft_wrap=True)
    out.print(_too_long(side, check))
    without = "tokens without these" if _is_refused(side, check) else "tokens"
    out.print(f"{without}: {side.num_learned:,} learned, {side.num_read:,} read only")
    for line in _repeated(side.repetitions, "", "there before"):
        out.print(line, soft_wrap=True)


def _of_files(files: "Sequence[FileFound]") -> list[str]:
    """A line for each file; of many, one for each format of the others."""
    lines = [f"{file.source}: {_format(file.format)}, {file.num_examples:,}" for file in files[:SHOWN_FILES]]
    others, examples = Counter[str | None](), Counter[str | None]()
    for file in files[SHOWN_FILES:]:
        others[file.format] += 1
        examples[file.format] += file.num_examples
    return lines + [f"{number:,} more files: {_format(kind)}, {examples[kind]:,}" for kind, number in others.items()]


def _format(name: str | None) -> str:
    return "texts, all of which is learned" if name is None else f"{name} ({FORMATS[name]})"


def _show_example(out: Console, example: "ShownExample") -> None:
    left_out = ", left out" if example.is_left_out else ""
    out.print(Text(f"--- {example.place}: {example.num_tokens:,} tokens{left_out}", style="dim"), soft_wrap=True)
    line = Text()
    for text, state in example.parts:
        before, after = ("", "") if out.is_terminal else MARKS[state]
        line.append(before).append(_shortened(text), style=STYLES[state]).append(after)
    out.print(line, soft_wrap=True)


def _is_refused(side: "SideCheck", check: "DataCheck") -> bool:
    return check.too_long == "error" and side.num_too_long > 0


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("s" if number != 1 else "")


def _shortened(text: str) -> str:
    rest = len(text) - HEAD - TAIL
    return text if rest <= TAIL else f"{text[:HEAD]} ... {rest:,} characters ... {text[-TAIL:]}"


def _too_long(side: "SideCheck", check: "DataCheck") -> str:
    if not side.num_too_long:
        return f"no pair and no chat is longer than the context of {check.context_length:,} tokens"
    what = {"error": "refused", "skip": "left out", "cut": "cut at the beginning"}[check.too_long]
    return (
        f"longer than the context of {check.context_length:,} tokens: {side.num_too_long:,}, {what} "
        f"({side.num_tokens_cut:,} tokens, {side.num_learned_cut:,} of them to learn), the first {side.first_too_long}"
    )


def _repeated(found: Repetitions, before: str, after: str) -> list[str]:
    lines = []
    for number, first, what in (
        (found.num_whole, found.first_whole, "example"),
        (found.num_prompts, found.first_prompt, "further prompt"),
    ):
        if first is not None:
            named = " ".join(filter(None, (_counted(number, what), before, after)))
            lines.append(f"{named}: the first is {first[0]}, as {first[1]}")
    return lines
