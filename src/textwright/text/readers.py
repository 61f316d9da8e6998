"""One reader a format: from the bytes of a file to the chunks of its documents.

A file of plain text is one document, and so is a notebook. A line, an element or a row of the other formats is one, by
its text's field; or by the fields of a format of pairs (see ``pair_formats``).
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.text.chunks import split_chunks
from textwright.text.document import Chunk, Document
from textwright.text.json_values import Values, json_values, values_of_file, values_of_lines
from textwright.text.lines import decoded_parts, numbered_lines
from textwright.text.normalise import as_text, normalise
from textwright.text.options import ReadOptions
from textwright.text.pair_formats import fields_read, folded, has_format, row_format
from textwright.text.rows import are_names, no_field, no_header, row_chunks
from textwright.text.streams import PACKED, OpenFile
from textwright.text.tables import read_csv_rows, read_plain_rows

PARQUET_ROWS = 256
"""Rows of a table at once."""

Reader = Callable[[OpenFile, ReadOptions], Iterator[Chunk]]


def reader_for(path: Path) -> Reader:
    """The reader of a file, by the end of its name; what is in no table is plain text."""
    return READERS.get(unpacked_name(path).suffix.lower(), read_plain)


def is_plain(path: Path) -> bool:
    """Whether a file is its text, byte for byte."""
    return path.suffix.lower() not in PACKED and reader_for(path) is read_plain


def unpacked_name(path: Path) -> Path:
    """A file's name without the end that says how it is packed."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


def read_plain(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """One document; a file that holds no character is none."""
    parts = (normalise(text) for text in decoded_parts(file, options))
    return (chunk for chunk in split_chunks(parts, Document(str(file.path))) if chunk.text)


def read_jsonl(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document a line."""
    return _of_values(values_of_lines(numbered_lines(file, options), file.path), file, options)


def read_json(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document an element, or a value where there are several; JSON lines by this name are read as such."""
    return _of_values(values_of_file(numbered_lines(file, options), file.path), file, options)


def _of_values(values: Values, file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    for number, where, value in values:
        yield from row_chunks(value, file, number, where, options)


def read_notebook(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """One document: the sources of a Jupyter notebook's cells with an empty line between; outputs are left out."""
    where = str(file.path)
    values = list(json_values("".join(line for _, line in numbered_lines(file, options)), file.path))
    notebook: Any = values[0] if len(values) == 1 else None
    try:
        sheets = [notebook] if "cells" in notebook else notebook["worksheets"]
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        texts = ["".join(cell["input" if "input" in cell else "source"]) for cell in cells]
    except (TypeError, KeyError):
        raise InputError("not a Jupyter notebook", where=where, expected="cells with a source each") from None
    text = as_text("\n\n".join(text for text in texts if text.strip()), where)
    return (chunk for chunk in split_chunks([text], Document(where)) if chunk.text)


def read_csv(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document a row, below a header."""
    path, field, lines = file.path, options.text_field, numbered_lines(file, options)
    is_tsv = unpacked_name(path).suffix.lower() == ".tsv"
    is_quoted = options.quoting == "csv" or (options.quoting == "auto" and not is_tsv)
    usual = "\t" if is_tsv else ","

    def is_header(cells: Sequence[str]) -> bool:
        return field in cells or (options.knows_formats and has_format(cells))

    rows = read_csv_rows(lines, path, is_header, usual) if is_quoted else read_plain_rows(lines, is_header, usual)
    _, header = next(rows, (0, []))
    first = next(rows, None)
    _check_header(header, first[1] if first else None, path, options, is_quoted=is_quoted)
    for number, cells in chain([first] if first else [], rows):
        where = f"{path}:{number}"
        if len(cells) != len(header):
            raise InputError(
                "a row with another number of fields than the header",
                where=where,
                expected=f"{len(header)}, not {len(cells)}",
                fix="" if is_quoted else "where quotation marks enclose fields, read it with --quoting csv",
            )
        yield from row_chunks(dict(zip(header, cells, strict=True)), file, number, where, options)


def _check_header(
    header: Sequence[str], first: Sequence[str] | None, path: Path, options: ReadOptions, *, is_quoted: bool
) -> None:
    """See that a table has the column, or those of one format of pairs, once each.

    Raises:
        InputError: it has not; the first row is shown where it helps.
    """
    field, where = options.text_field, str(path)
    kind = row_format(header, where) if options.knows_formats and field not in header else None
    bare = [cell.strip('"') for cell in header]
    if not is_quoted and kind is None and field not in header and bare != list(header):
        wanted = field if field in bare else bare[0]
        if wanted == field or (options.knows_formats and has_format(bare)):
            fix = "read it with --quoting csv"
            raise InputError(f"the field {wanted!r} is in quotation marks", where=where, fix=fix)
    if kind is None and field not in header and not are_names(header):
        raise no_header(field, header, where)
    if kind is None and header and field not in header:
        raise no_field(field, dict(zip(header, first, strict=False)) if first else dict.fromkeys(header), where)
    names = list(header) if kind is None else [folded(name) for name in header]
    for name in [field] if kind is None else fields_read(kind):
        if names.count(name) > 1:
            raise InputError(f"{names.count(name)} columns are named {name!r}", where=where, expected="one")


def read_parquet(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    """A document a row."""
    import pyarrow
    import pyarrow.parquet

    path, field = file.path, options.text_field
    # Its end is read first, and then this and that of it.
    source: Any = path if path.suffix.lower() == ".parquet" else io.BytesIO(file.stream.read())
    file.share_read = 0.0
    try:
        table = pyarrow.parquet.ParquetFile(source)
        names = table.schema_arrow.names
        column = field if field in names else field.split(".")[0]
        kind = row_format(names, str(path)) if options.knows_formats and column not in names else None
        if column not in names and kind is None:
            rows = next((batch.to_pylist() for batch in table.iter_batches(batch_size=1)), [dict.fromkeys(names)])
            raise no_field(field, rows[0], str(path))
        number = 0
        wanted = [column] if kind is None else [name for name in names if folded(name) in fields_read(kind)]
        label = options.label_field
        label = label if label is None or label in names else label.split(".")[0]
        columns = list(dict.fromkeys(name for name in (*wanted, "id", label) if name in names))
        for batch in table.iter_batches(batch_size=PARQUET_ROWS, columns=columns):
            for row in batch.to_pylist():
                place, number = number, number + 1
                file.share_read = number / table.metadata.num_rows
                yield from row_chunks(row, file, place, f"{path} row {place}", options)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"not a Parquet file: {error}", where=str(path)) from None


READERS: Mapping[str, Reader] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
    ".ipynb": read_notebook,
}
"""By the end of a file's name, that of its compression aside."""
