"""The rows of tables as text, the header first: quoted as in CSV, or split at every delimiter."""

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from textwright.core.errors import InputError

Lines = Iterator[tuple[int, str]]
"""(number, line)"""
Rows = Iterator[tuple[int, list[str]]]
"""(number of the line that a row ends on, its fields)"""
IsHeader = Callable[[Sequence[str]], bool]
"""Whether these cells are the header that is looked for: it tells which delimiter a table has."""
DELIMITERS = ",;\t|"


def read_plain_rows(lines: Lines, is_header: IsHeader, usual: str) -> Rows:
    """Rows of a line each, in which a quotation mark is a character like any other.

    Args:
        lines: of the file.
        is_header: tells the header, by which the delimiter is found where it is not the usual one.
        usual: the delimiter.
    """
    numbered = ((number, _without_end(line)) for number, line in lines)
    rows = ((number, line) for number, line in numbered if line)
    first, delimiter = _begin(rows, is_header, usual, is_quoted=False)
    for number, line in chain(first, rows):
        yield number, line.split(delimiter)


def read_csv_rows(lines: Lines, path: Path, is_header: IsHeader, usual: str) -> Rows:
    """Rows in which fields may be enclosed in quotation marks, and hold delimiters and line ends then.

    Args:
        lines: of the file.
        path: its name, for messages.
        is_header: tells the header, by which the delimiter is found where it is not the usual one.
        usual: the delimiter.

    Raises:
        InputError: quotation marks that enclose nothing whole.
    """
    first, delimiter = _begin(lines, is_header, usual, is_quoted=True)
    last = first[0][0] - 1 if first else 0
    numbered = _Counted(chain(first, lines), last)
    reader = csv.reader(numbered, delimiter=delimiter, strict=True)
    while True:
        begun = numbered.number + 1
        try:
            cells = _next_row(reader)
        except csv.Error as error:
            is_open = "a quotation mark there is never closed; " if "end of data" in str(error) else ""
            fix = f"{is_open}where quotation marks enclose nothing, read it with --quoting none"
            raise InputError(f"not valid CSV: {error}", where=f"{path}:{begun}", fix=fix) from None
        if cells is None:
            return
        if cells:
            yield numbered.number, cells


class _Counted:
    """Lines as the csv module takes them, and the number of the last."""

    def __init__(self, lines: Lines, number: int) -> None:
        self._lines, self.number = lines, number

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        return line


def _next_row(reader: Iterator[list[str]]) -> list[str] | None:
    """The next row, however long its fields are: the csv module has a limit for the whole process, which stays."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(limit)


def _begin(lines: Lines, is_header: IsHeader, usual: str, *, is_quoted: bool) -> tuple[list[tuple[int, str]], str]:
    """The first line, which is the header or begins it, and the delimiter: the one by which it is the header.

    A line before it may say what the delimiter is, as Excel writes it: ``sep=;``
    """
    first = next(lines, None)
    if first is None:
        return [], usual
    said = _without_end(first[1])
    if len(said) == 5 and said.startswith("sep="):
        following = next(lines, None)
        return [following] if following is not None else [], said[4]
    others = (delimiter for delimiter in DELIMITERS if delimiter != usual)
    found = (delimiter for delimiter in (usual, *others) if is_header(_cells(said, delimiter, is_quoted)))
    return [first], next(found, usual)


def _cells(line: str, delimiter: str, is_quoted: bool) -> Sequence[str]:
    if not is_quoted:
        return line.split(delimiter)
    try:
        return _next_row(csv.reader([line], delimiter=delimiter)) or []
    except csv.Error:  # it is said where the rows are read
        return []


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
