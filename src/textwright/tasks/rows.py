"""Rows of files: fields by their names, of JSON, tables with and without a header, and lines; packed or not.

Which of these a file is, its first line says where its name does not::

    {"text": "...", ...}        JSON: objects, one a line, or in an array
    text,label                  a table, in .csv and .tsv, or where there is a tab
    anything else               lines, each a row with the one field "line"
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from textwright.core.errors import InputError, nearest
from textwright.core.user_paths import given_path
from textwright.text.files import find_files
from textwright.text.json_values import values_of_file, values_of_lines
from textwright.text.lines import Lines, numbered_lines
from textwright.text.normalise import as_text, normalise
from textwright.text.options import ReadOptions
from textwright.text.read import reading
from textwright.text.readers import unpacked_name
from textwright.text.streams import OpenFile
from textwright.text.tables import Rows, read_csv_rows, read_plain_rows

Form = Literal["json", "table", "lines"]
Columns = Sequence[Sequence[str]]
"""The names of columns that tables without a header may have, for each number of them."""
LINE = "line"
"""The one field of a row that is a line, or a text in an array."""
SHOWN_FIELDS = 12
_JSON_BEGINS = re.compile(r'\s*(\{\s*("|$)|\[\s*([{"\[]|$))')
_NAME = re.compile(r"[^\W\d]\w*([ -]\w+){0,2}")
"""How columns are called: at most three words, and nothing of a sentence."""


@dataclass(frozen=True)
class Row:
    """What is known of one thing, by the names of its fields."""

    fields: Mapping[str, Any]
    where: str
    """Its file and its place there, for messages."""
    id: str
    """A name for it: its file's and its place."""

    def has(self, *names: str) -> bool:
        """Whether one of these fields is there."""
        return any(self._key(name) is not None for name in names)

    def value(self, *names: str) -> Any:
        """The first of these fields that is there, whether its name is in capitals or not.

        Args:
            names: ``data.text`` is the field ``text`` of the object ``data``.

        Raises:
            InputError: none of them is there.
        """
        for name in names:
            key = self._key(name)
            if key is not None:
                return _follow(self.fields, key)
        there = list(self.fields)
        close = next((found for name in names if (found := nearest(name, there))), None)
        shown = ", ".join(there[:SHOWN_FIELDS]) + (", ..." if len(there) > SHOWN_FIELDS else "")
        raise InputError(
            f"no field {' or '.join(map(repr, names))} among {shown or 'none'}",
            where=self.where,
            fix=f"did you mean {close!r}?" if close else "",
        )

    def items(self, *names: str) -> list[Any]:
        """A field as a list of whatever is in it.

        Raises:
            InputError: it is not there, or is no list.
        """
        value = self.value(*names)
        if not isinstance(value, list):
            raise InputError(f"{names[0]!r} is {type(value).__name__}", where=self.where, expected="a list")
        return value

    def text(self, *names: str) -> str:
        """A field as one text; a list of texts is joined by spaces.

        Raises:
            InputError: it is not there, or is no text.
        """
        return " ".join(self.texts(*names))

    def texts(self, *names: str) -> tuple[str, ...]:
        """A field as texts, one or many.

        Raises:
            InputError: it is not there, or holds something else.
        """
        value = self.value(*names)
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in values):
            kind = "null" if value is None else "an empty list" if value == [] else type(value).__name__
            raise InputError(f"{names[0]!r} is {kind}", where=self.where, expected="text, or a list of texts")
        return tuple(as_text(str(one), self.where).strip() for one in values)

    def _key(self, name: str) -> tuple[str, ...] | None:
        """The way to a field."""
        if name in self.fields:
            return (name,)
        for key in self.fields:
            if key.lower() == name.lower():
                return (key,)
        way = tuple(name.split("."))
        return way if len(way) > 1 and _leads_somewhere(self.fields, way) else None


def _leads_somewhere(fields: Any, way: Sequence[str]) -> bool:
    for name in way:
        if not isinstance(fields, Mapping) or name not in fields:
            return False
        fields = fields[name]
    return True


def _follow(fields: Any, way: Sequence[str]) -> Any:
    for name in way:
        fields = fields[name]
    return fields


def read_rows(paths: Sequence[Path], columns: Columns = ()) -> Iterator[Row]:
    """The rows of files, one after the other; lines without anything are passed over.

    Args:
        paths: files and folders.
        columns: see ``open_rows``.

    Raises:
        InputError: a file that cannot be read, or no row at all.
    """
    is_empty = True
    for path in find_files(paths):
        for row in open_rows(path, columns)[1]:
            if str(row.fields.get(LINE, "-")).strip():
                is_empty = False
                yield row
    if is_empty:
        raise InputError(f"no row in {', '.join(map(str, paths[:3]))}", expected="at least one")


def open_rows(path: Path, columns: Columns = ()) -> tuple[Form, Iterator[Row]]:
    """What form a file has, and its rows; of a file of lines all of them, the empty ones too.

    Args:
        path: a file.
        columns: what the columns of a table are called whose first row is none of names, for each number of columns.

    Raises:
        InputError: a file that cannot be read, or a table without names of a number of columns that is not expected.
    """
    lines = read_lines(path)
    begun = list[tuple[int, str]]()
    for numbered in lines:
        begun.append(numbered)
        if numbered[1].strip():
            break
    lines = chain(begun, lines)
    suffix, start = unpacked_name(path).suffix.lower(), begun[-1][1] if begun else ""
    if suffix in (".jsonl", ".ndjson"):
        return "json", _json_rows(path, lines, is_lines=True)
    if suffix == ".json" or (suffix not in (".csv", ".tsv") and _JSON_BEGINS.match(start)):
        return "json", _json_rows(path, lines, is_lines=False)
    if suffix in (".csv", ".tsv") or "\t" in start.strip():
        return "table", _table_rows(path, lines, start, columns, is_csv=suffix == ".csv")
    return "lines", (_row({LINE: line.rstrip("\n")}, path, number) for number, line in lines)


def read_lines(path: Path) -> Lines:
    """The lines of a file with their numbers from 1, packed or not, each with its end.

    Raises:
        InputError: it cannot be read, or is something else than text.
    """
    with given_path(path), open(path, "rb", buffering=0) as opened:
        file = OpenFile(path, opened)
        with reading(file):
            for number, line in numbered_lines(file, ReadOptions()):
                yield number, normalise(line)


def read_blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """What empty lines separate: the number of the first line, and the lines."""
    begun, block = 0, list[str]()
    for number, line in read_lines(path):
        if line.strip():
            begun = begun if block else number
            block.append(line.rstrip("\n"))
        elif block:
            yield begun, block
            block = []
    if block:
        yield begun, block


def _row(fields: Mapping[str, Any], path: Path, number: int) -> Row:
    return Row(fields, f"{path}:{number}", f"{path.name}:{number}")


def _json_rows(path: Path, lines: Lines, *, is_lines: bool) -> Iterator[Row]:
    for number, where, value in (values_of_lines if is_lines else values_of_file)(lines, path):
        if isinstance(value, str):
            value = {LINE: value}
        if not isinstance(value, dict):
            raise InputError(f"a {type(value).__name__}", where=where, expected="an object with fields")
        yield Row(value, where, f"{path.name}:{number}")


def _table_rows(path: Path, lines: Lines, start: str, columns: Columns, *, is_csv: bool) -> Iterator[Row]:
    known = [name for names in columns for name in names]
    field = next((name for name in known if name in start), known[0] if known else "")

    def is_header(cells: Sequence[str]) -> bool:
        return field in cells

    rows = read_csv_rows(lines, path, is_header, ",") if is_csv else read_plain_rows(lines, is_header, "\t")
    number, first = next(rows, (1, []))
    names = first
    if sum(cell.lower() in known for cell in first) < 2 and not all(map(_NAME.fullmatch, first)):
        rows = chain([(number, first)], rows)
        names = next((list(names) for names in columns if len(names) == len(first)), [])
        if not names:
            raise _no_names(path, number, first, columns)
    yield from _named_rows(path, names, rows)


def _named_rows(path: Path, names: Sequence[str], rows: Rows) -> Iterator[Row]:
    for number, cells in rows:
        if len(cells) != len(names):
            raise InputError(
                f"a row of {len(cells)} fields", where=f"{path}:{number}", expected=f"{len(names)}: {', '.join(names)}"
            )
        yield _row(dict(zip(names, cells, strict=True)), path, number)


def _no_names(path: Path, number: int, first: Sequence[str], columns: Columns) -> InputError:
    known = " or ".join(f"{len(names)} columns ({', '.join(names)})" for names in columns)
    return InputError(
        f"a table of {len(first)} columns without their names",
        where=f"{path}:{number}",
        expected=known,
        fix="put a line with the columns' names above it",
    )
