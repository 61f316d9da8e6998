"""Cloze tasks of a file: a text with a blank, options for it, and the one that is right. Torch-free.

::

    {"context": "Ann met Bob.", "text": "She gave _ the book.", "options": ["him", "it"], "answer": "him"}
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from textwright.core.errors import InputError, nearest
from textwright.core.words import counted
from textwright.tasks.rows import Row, read_rows

BLANK = re.compile(r"(?<!\w)(?:_+|XXXXX)(?!\w)")
TEXT, OPTIONS = ("text", "sentence", "question"), ("options", "choices", "candidates")
FORM = '{"text": "a _ here", "options": ["word", "gap"], "answer": "word"}'


@dataclass(frozen=True)
class Cloze:
    """A text with a blank.

    Attributes:
        before: what stands before the blank.
        after: what stands after it.
        options: that may stand in it.
        answer: the place of the right one.
        document: that the text is of; empty: none.
        where: its place in the file.
    """

    before: str
    after: str
    options: tuple[str, ...]
    answer: int
    document: str
    where: str

    @property
    def ends_with_blank(self) -> bool:
        """Whether nothing follows the blank, by which an option could be told from another."""
        return not self.after.strip()


def read_cloze(path: Path) -> list[Cloze]:
    """The texts of a file: JSON lines, or a table with the names of its columns.

    The blank is ``_`` or ``XXXXX``. Options are a list, or columns ``option1``, ``option2``, ..., or one column with
    ``|`` between them. The answer is one of them, or its number from 1.

    Raises:
        InputError: it cannot be read, or a text has no blank, or more than one, or its answer is no option.
    """
    return [_cloze_of(row) for row in read_rows([path])]


def _cloze_of(row: Row) -> Cloze:
    if not row.has(*TEXT):
        raise _no_field("text", row)
    context, text = row.text("context") if row.has("context") else "", row.text(*TEXT)
    parts = BLANK.split(text)
    if len(parts) != 2:
        what = "no blank" if len(parts) == 1 else counted(len(parts) - 1, "blank")
        raise InputError(f"{what} in {text[:40]!r}", where=row.where, expected="one, written _ or XXXXX")
    options = _options_of(row)
    document = row.text("document") if row.has("document") else ""
    before = f"{context} {parts[0]}" if context else parts[0]
    return Cloze(before, parts[1], options, _answer_of(row, options), document, row.where)


def _options_of(row: Row) -> tuple[str, ...]:
    if row.has(*OPTIONS):
        options = row.texts(*OPTIONS)
        options = tuple(options[0].split("|")) if len(options) == 1 else options
    else:
        names = [name for number in range(1, len(row.fields) + 1) if row.has(name := f"option{number}")]
        options = tuple(row.text(name) for name in names)
    if not options:
        raise _no_field("options", row)
    options = tuple(option.strip() for option in options)
    _check_options(options, row.where)
    return options


def _check_options(options: tuple[str, ...], where: str) -> None:
    """See that one can be chosen."""
    if "" in options:
        what = f"option {options.index('') + 1} of {len(options)} is empty"
    elif len(options) == 1:
        what = f"one option alone: {options[0]!r}"
    elif len(set(options)) < len(options):
        what = f"the option {Counter(options).most_common(1)[0][0]!r} comes twice"
    else:
        return
    raise InputError(what, where=where, expected="two options or more, different ones, none of them empty")


def _answer_of(row: Row, options: tuple[str, ...]) -> int:
    if not row.has("answer"):
        raise _no_field("answer", row)
    answer = row.text("answer")
    if answer in options:
        return options.index(answer)
    if answer.isdecimal() and 1 <= int(answer) <= len(options):
        return int(answer) - 1
    close = nearest(answer, options)
    raise InputError(
        f"the answer {answer!r}",
        where=row.where,
        expected=f"one of the options {', '.join(options)}, or its number from 1",
        fix=f"did you mean {close!r}?" if close else "",
    )


def _no_field(name: str, row: Row) -> InputError:
    there = list(row.fields)
    close = nearest(name, there)
    fix = f"did you mean {close!r}?" if close else ""
    return InputError(f"no field {name!r} among {', '.join(there)}", where=row.where, expected=FORM, fix=fix)
