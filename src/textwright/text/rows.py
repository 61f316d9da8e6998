"""Rows of tables and values of JSON as documents: their text is a field."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textwright.core.errors import InputError, nearest
from textwright.text import chunks
from textwright.text.dialogue import Rendered
from textwright.text.document import Chunk, Document
from textwright.text.labels import label_of
from textwright.text.normalise import as_text, is_unicode
from textwright.text.options import ReadOptions
from textwright.text.pair_formats import GROUP_FIELD, NothingToLearnError, WrittenRow, half_format, write_row
from textwright.text.speakers import dialogue_text
from textwright.text.streams import OpenFile

MOST_NAMES, SHOWN_CHARACTERS = 12, 40
"""Of fields in a message."""
MOST_DEPTH = 3
"""Of fields in fields that are offered."""


def row_chunks(value: Any, file: OpenFile, number: int, where: str, options: ReadOptions) -> Iterator[Chunk]:
    """The chunks of one row, whose ``id`` is its own, or else its number; none of a row that is passed over.

    A row without text may have one of the formats of pairs (see ``pair_formats``), and then a part of it is learned.
    Those of one ``document`` are on one side where some are held out.

    Args:
        value: an object, or the text itself.
        file: that it is in.
        number: its line or place there.
        where: the same, for messages.
        options: which field is the text, and what is done where it is null.

    Raises:
        InputError: no such field, or no text in it.
    """
    row, spoken = value, dialogue_text(value, where) if options.by_speaker else None
    value = row if spoken is None else spoken
    try:
        written = written_row(value, where, options)
        text = text_of(value, where, options) if written is None else written.text
    except NothingToLearnError:
        if options.null_text == "error":
            raise
        written = text = None
    if text is None:
        file.num_null += 1
        return
    name = _name_in(row, "id") if options.text_field != "id" else None
    label = label_of(row, options.label_field, where)
    source, name = str(file.path), str(number) if name is None else name
    if written is None:
        document = Document(source, name, label)
    else:
        group = _name_in(value, GROUP_FIELD)
        document = Document(source, name, label, spans=written.spans, group=group, format=written.format)
    if isinstance(text, Rendered) or len(text) <= chunks.CHUNK_CHARACTERS:  # marks are places in a rendered one
        yield Chunk(text, document)
    else:
        yield from chunks.split_chunks([text], document)


def _name_in(value: Any, field: str) -> str | None:
    """A field that names something, where there is one."""
    name = value.get(field) if isinstance(value, dict) else None
    return str(name) if isinstance(name, str | int) and is_unicode(str(name)) else None


def written_row(value: Any, where: str, options: ReadOptions) -> WrittenRow | None:
    """A row that says what is given and what is learned, instead of a text. None: it is a row of another kind.

    Raises:
        InputError: as ``write_row``.
    """
    if not isinstance(value, Mapping) or not options.knows_formats or options.text_field in value:
        return None
    return write_row(value, where, options.style)


def text_of(value: Any, where: str, options: ReadOptions) -> str | None:
    """The text of a row: itself, its field, or the field's list of lines joined. None: it is passed over.

    Raises:
        InputError: no such field, or no text in it.
    """
    field = options.text_field
    if isinstance(value, dict):
        value = _field_of(value, field, where)
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if value is None:
        if options.null_text == "skip":
            return None
        fix = "pass over rows without text with --null-text skip"
        raise InputError(f"{field!r} is null", where=where, expected="text", fix=fix)
    if not isinstance(value, str):
        raise InputError(f"{field!r} is {type(value).__name__}", where=where, expected="text")
    return as_text(value, where)


def _field_of(row: dict[str, Any], field: str, where: str) -> Any:
    """A row's field by its name, or by its way: ``data.text`` is the field ``text`` of the object ``data``."""
    value: Any = row
    for name in [field] if field in row else field.split("."):
        if value is None:
            return None
        if not isinstance(value, dict):
            expected = f"an object with the field {name!r} of {field!r}"
            raise InputError(f"{type(value).__name__} before .{name}", where=where, expected=expected)
        if name not in value:
            raise no_field(field, row, where)
        value = value[name]
    return value


def no_field(field: str, row: Mapping[str, Any], where: str) -> InputError:
    """The error for a row without the field, with the one that looks like text.

    Args:
        field: that was asked for.
        row: the fields that there are, with their values.
        where: the row.
    """
    fields = dict(_flattened(row))
    lengths = {name: length for name, value in fields.items() if (length := _text_length(value)) is not None}
    close = nearest(field, lengths) if field != ReadOptions.text_field else None
    offered = close or max(lengths, key=lengths.__getitem__, default=None)
    names = list(fields)
    shown = ", ".join(map(_short, names[:MOST_NAMES])) + (", ..." if len(names) > MOST_NAMES else "")
    fix = f"name the text's field with --text-field {shlex.quote(offered)}" if offered is not None else ""
    half = half_format(row) if field == ReadOptions.text_field else None
    if half is not None:
        fix = f"{fix}, or give a pair its fields: {half}" if fix else f"a pair has the fields {half}"
    return InputError(f"no field {field!r}", where=where, expected=f"one of {shown}" if shown else "", fix=fix)


def no_header(field: str, first: Sequence[str], where: str) -> InputError:
    """The error for a table without the column, whose first row holds no names, it seems."""
    shown = ", ".join(map(_short, first[:MOST_NAMES]))
    fix = "put a line with the columns' names above it"
    return InputError(f"no field {field!r}, nor any names in the first line: {shown}", where=where, fix=fix)


def are_names(cells: Sequence[str]) -> bool:
    """Whether a row may be a header: short names, and no numbers."""
    return all(len(cell) <= SHOWN_CHARACTERS and not cell.strip().replace(".", "", 1).isdigit() for cell in cells)


def _short(name: str) -> str:
    return name if len(name) <= SHOWN_CHARACTERS else f"{name[: SHOWN_CHARACTERS - 3]}..."


def _flattened(row: Mapping[str, Any], before: str = "", depth: int = 1) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, dict) and value and depth < MOST_DEPTH:
            yield from _flattened(value, f"{before}{name}.", depth + 1)
        else:
            yield f"{before}{name}", value


def _text_length(value: Any) -> int | None:
    """Characters of a text or of a list of lines; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        return sum(map(len, value))
    return len(value) if isinstance(value, str) else None
