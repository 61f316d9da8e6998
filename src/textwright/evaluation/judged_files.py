"""Files that systems write, whichever they are: predictions with what they are judged by.

::

    predictions.txt   references1.txt   references2.txt   source.txt      a line an example, in the same order
    predictions.jsonl                                                     an object an example, which holds all of it

Only a line feed ends a line: other characters that some programs take for line ends are text. A byte order mark at the
beginning is none of it. Files may be packed (.gz, .zst).
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path
from textwright.evaluation.metrics.base import Judged
from textwright.text.files import find_files
from textwright.text.readers import unpacked_name
from textwright.text.streams import BROKEN, OpenFile

_OWN_FIELDS = ("prediction", "references", "source")


def read_judged(predictions: Path, references: Sequence[Path] = (), source: Path | None = None) -> list[Judged]:
    """The predictions of a file, in its order, with their references and sources.

    Where there are several files of references, an empty line says that an example has no reference there; with one
    file, it is an empty reference.

    Args:
        predictions: JSON lines, by the end of its name, or plain text.
        references: files of plain text. None where the predictions' file holds them.
        source: a file of plain text.

    Raises:
        InputError: a file that is not there, is empty, is not UTF-8 or has another number of lines than the
            predictions; a line that is not as it should be.
    """
    lines = _lines_of(predictions)
    if unpacked_name(predictions).suffix.lower() in (".jsonl", ".ndjson"):
        found = [_read_row(line, f"{predictions}:{number}") for number, line in lines if line.strip()]
    else:
        found = [Judged(line) for _, line in lines]
    if not found:
        raise InputError(f"{predictions} is empty", expected="predictions, one a line")
    with_references = next((number for number, one in enumerate(found, 1) if references and one.references), None)
    if with_references is not None:
        what = f"--references, and references in {predictions}"
        raise InputError(what, where=f"prediction {with_references:,}", expected="one of them")
    columns = [_column(path, predictions, len(found)) for path in references]
    sources = _column(source, predictions, len(found)) if source is not None else None
    return [
        Judged(
            one.prediction,
            _references_of([column[place] for column in columns]) if columns else one.references,
            sources[place] if sources is not None else one.source,
            one.details,
        )
        for place, one in enumerate(found)
    ]


def _references_of(texts: Sequence[str]) -> tuple[str, ...]:
    if len(texts) == 1:
        return tuple(texts)
    return tuple(text for text in texts if text.strip())


def _column(path: Path, predictions: Path, number: int) -> list[str]:
    """The lines of a file that goes with the predictions."""
    lines = [line for _, line in _lines_of(path)]
    if len(lines) != number:
        raise InputError(f"{path} has {len(lines):,} lines", expected=f"{number:,}, as many as {predictions}")
    return lines


def _lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of a file."""
    with given_path(path):
        (file,) = find_files([path]) if not path.is_dir() else [path]
        with io.FileIO(file) as opened:
            try:
                for number, raw in enumerate(OpenFile(file, opened).stream, start=1):
                    line = raw.removesuffix(b"\n").removesuffix(b"\r").decode()
                    yield number, line.removeprefix("\ufeff") if number == 1 else line
            except UnicodeDecodeError:
                where = f"line {number:,}"
                raise InputError(f"{path} is not UTF-8", where=where, expected="UTF-8 text") from None
            except BROKEN as error:
                raise InputError(f"{path} cannot be unpacked: {error}", fix="make it again") from None


def _read_row(line: str, where: str) -> Judged:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=where, expected="one JSON object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{type(row).__name__} instead of an object", where=where, expected="one JSON object a line")
    if "prediction" not in row:
        fields = ", ".join(map(repr, row))
        raise InputError("no field 'prediction'", where=where, expected="it beside " + fields if fields else "it")
    references = row.get("references", [])
    if not isinstance(references, list):
        raise InputError("'references' is not a list of texts", where=where, expected='such as ["one", "another"]')
    return Judged(
        _text(row["prediction"], "'prediction'", where),
        tuple(_text(text, "a reference", where) for text in references),
        _text(row["source"], "'source'", where) if row.get("source") is not None else "",
        {name: value for name, value in row.items() if name not in _OWN_FIELDS},
    )


def _text(value: Any, what: str, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{what} is {type(value).__name__}", where=where, expected="text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"half a surrogate pair in {what}", where=where, expected="Unicode text") from None
    return value
