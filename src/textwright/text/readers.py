"""One reader a format: from the bytes of a file to the chunks of its documents.

A file of plain text is one document. A line, an element or a row of the other formats is one, by its ``text`` field.
"""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textwright.core.errors import InputError, nearest
from textwright.text.chunks import split_chunks
from textwright.text.document import Chunk, Document
from textwright.text.normalise import normalise
from textwright.text.streams import READ_BYTES, OpenFile

OnInvalid = Literal["error", "replace"]
CSV_FIELD_CHARACTERS = 1 << 28
"""A longer field is taken for an unclosed quotation mark."""
PARQUET_ROWS = 256
"""Rows of a table at once."""


@dataclass(frozen=True)
class ReadOptions:
    """How files are read."""

    invalid_utf8: OnInvalid = "error"
    """``error`` refuses a file with bytes that are not UTF-8; ``replace`` puts U+FFFD for them."""
    text_field: str = "text"
    """The field, column or key that holds the text, in formats that have such."""

    @property
    def errors(self) -> str:
        """What Python's decoders call it."""
        return "strict" if self.invalid_utf8 == "error" else "replace"


Reader = Callable[[OpenFile, ReadOptions], Iterator[Chunk]]


def reader_for(path: Path) -> Reader:
    """The reader of a file, by the end of its name; what is in no table is plain text."""
    inner = path.with_suffix("") if path.suffix in (".gz", ".zst") else path
    return READERS.get(inner.suffix.lower(), read_plain)


def read_plain(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """One document; a file that holds no character is none."""
    parts = (normalise(text) for text in _decoded(file, options))
    return (chunk for chunk in split_chunks(parts, Document(str(file.path))) if chunk.text)


def read_jsonl(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document a line."""
    for number, line in _lines(file, options):
        if line.strip():
            where = f"{file.path}:{number}"
            try:
                value = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise InputError(f"not valid JSON: {error}", where=where, expected="one JSON object a line") from None
            yield from _row(value, file.path, number, where, options)


def read_json(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document an element."""
    raw = b"".join(iter(lambda: file.stream.read(READ_BYTES), b""))
    try:
        values = json.loads(raw.decode("utf-8", options.errors).removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        raise invalid(file.path, error.start) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=str(file.path)) from None
    for index, value in enumerate(values if isinstance(values, list) else [values]):
        yield from _row(value, file.path, index, f"{file.path}[{index}]", options)


def read_csv(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document a row, below a header."""
    path = file.path
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    csv.field_size_limit(CSV_FIELD_CHARACTERS)  # of the whole process; a reader has none of its own
    reader = csv.DictReader((line for _, line in _lines(file, options)), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise InputError("a row with another number of fields than the header", where=where)
            yield from _row(row, path, reader.line_num, where, options)
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", where=f"{path}:{reader.line_num}") from None


def read_parquet(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document a row."""
    import pyarrow
    import pyarrow.parquet

    path, field = file.path, options.text_field
    # Its end is read first, and then this and that of it.
    source: Any = path if path.suffix == ".parquet" else io.BytesIO(file.stream.read())
    file.share_read = 0.0
    try:
        table = pyarrow.parquet.ParquetFile(source)
        names = table.schema_arrow.names
        if field not in names:
            raise _no_field(field, names, str(path))
        number = 0
        columns = list(dict.fromkeys(name for name in (field, "id") if name in names))
        for batch in table.iter_batches(batch_size=PARQUET_ROWS, columns=columns):
            for row in batch.to_pylist():
                place, number = number, number + 1
                file.share_read = number / table.metadata.num_rows
                yield from _row(row, path, place, f"{path} row {place}", options)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"not a Parquet file: {error}", where=str(path)) from None


READERS: Mapping[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}
"""By the end of a file's name, that of its compression aside."""


def _decoded(file: OpenFile, options: ReadOptions) -> Iterator[str]:
    """The stream's text in parts that never end inside a character or between CR and LF."""
    decoder = codecs.getincrementaldecoder("utf-8")(options.errors)
    offset, held, is_first = 0, "", True
    while True:
        raw = file.stream.read(READ_BYTES)
        pending = len(decoder.getstate()[0])
        try:
            text = held + decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise invalid(file.path, offset - pending + error.start) from None
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        offset += len(raw)
        held = "\r" if raw and text.endswith("\r") else ""
        yield text.removesuffix("\r") if held else text
        if not raw:
            return


def invalid(path: Path, offset: int) -> InputError:
    """The error for bytes that are not UTF-8."""
    return InputError(
        f"{path} is not UTF-8 at byte {offset:,}",
        expected="UTF-8 text",
        fix="convert it (iconv -f LATIN1 -t UTF-8), or read it with --invalid-utf8 replace",
    )


def _lines(file: OpenFile, options: ReadOptions) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of a stream, one at a time."""
    offset = 0
    for number, raw in enumerate(file.stream, 1):
        try:
            line = raw.decode("utf-8", options.errors)
        except UnicodeDecodeError as error:
            raise invalid(file.path, offset + error.start) from None
        offset += len(raw)
        yield number, line.removeprefix("\ufeff") if number == 1 else line


def _row(value: Any, path: Path, number: int, where: str, options: ReadOptions) -> Iterator[Chunk]:
    """The chunks of one element, whose ``id`` is its own, or else its number."""
    name = value.get("id") if isinstance(value, dict) and options.text_field != "id" else None
    if not isinstance(name, str | int) or not _is_unicode(str(name)):
        name = number
    return split_chunks([_text_of(value, options.text_field, where)], Document(str(path), str(name)))


def _text_of(value: Any, field: str, where: str) -> str:
    """The text of one element: itself, its field, or the field's list of lines joined."""
    if isinstance(value, dict):
        if field not in value:
            raise _no_field(field, list(value), where)
        value = value[field]
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        raise InputError(f"{field!r} is {type(value).__name__}", where=where, expected="text")
    if not _is_unicode(value):
        raise InputError("half a surrogate pair in the text", where=where, expected="Unicode text")
    return normalise(value)


def _is_unicode(text: str) -> bool:
    """Whether it is text; JSON can hold half a surrogate pair, which is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_field(field: str, names: Sequence[str], where: str) -> InputError:
    close = nearest(field, names)
    fix = f"name the text's field with --text-field {close or names[0]}" if names else ""
    return InputError(f"no field {field!r}", where=where, expected=f"one of {', '.join(names)}", fix=fix)
