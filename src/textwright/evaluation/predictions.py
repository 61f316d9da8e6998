"""Files that systems write, whichever they are: predictions with what they are judged by.

::

    predictions.txt   references1.txt   references2.txt   source.txt      a line an example, in the same order
    predictions.jsonl                                                     an object an example, which holds all of it

Only a line feed ends a line: other characters that some programs take for line ends are text. A byte order mark at the
beginning is none of it. Files may be packed (.gz, .zst).
"""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path
from textwright.core.words import counted
from textwright.evaluation.metrics.base import Judged
from textwright.text.files import find_files
from textwright.text.readers import unpacked_name
from textwright.text.streams import BROKEN, OpenFile

KNOWN = ("id", "document", "prediction", "references", "source")
OF_EXAMPLES = ("gold_entities", "label", "tests", "before", "after")
"""Details that are an example's own, whatever a system says to it."""


@dataclass(frozen=True)
class Prediction:
    """What a system said to one example."""

    id: str
    """What example it is of: its place in the file, from 1, where no name is given."""
    document: str
    """Examples of one document stand and fall together; empty: each for itself."""
    judged: Judged


def read_predictions(path: Path, references: Sequence[Path] = (), source: Path | None = None) -> list[Prediction]:
    """The predictions of a file, in its order, with their references and sources.

    Where there are several files of references, an empty line says that an example has no reference there; with one
    file, it is an empty reference.

    Args:
        path: JSON lines, by the end of its name, or plain text.
        references: files of plain text. None where the predictions' file holds them.
        source: a file of plain text.

    Raises:
        InputError: a file that is not there, is empty, is not UTF-8 or has another number of lines than the
            predictions; a line that is not as it should be, or an id that comes twice.
    """
    lines = _lines_of(path)
    if unpacked_name(path).suffix.lower() in (".jsonl", ".ndjson"):
        found = _read_rows(lines, path)
    else:
        found = [Prediction(str(number), "", Judged(line)) for number, line in lines]
    if not found:
        raise InputError(f"{path} is empty", expected="predictions, one a line")
    with_references = next((n for n, one in enumerate(found, 1) if references and one.judged.references), None)
    if with_references is not None:
        where = f"prediction {with_references:,}"
        raise InputError(f"--references, and references in {path}", where=where, expected="one of them")
    columns = [_column(one, path, len(found)) for one in references]
    sources = _column(source, path, len(found)) if source is not None else None
    return [
        replace(
            one,
            judged=replace(
                one.judged,
                references=_references_of([column[place] for column in columns]) if columns else one.judged.references,
                source=sources[place] if sources is not None else one.judged.source,
            ),
        )
        for place, one in enumerate(found)
    ]


def prediction_of(row: Mapping[str, Any], place: int, where: str) -> Prediction:
    """The prediction of an object of JSON.

    Args:
        row: the object.
        place: its number, from 1, which names it where it has no ``id``.
        where: the same, for messages.

    Raises:
        InputError: it lacks a prediction, or what it has is no text.
    """
    if "prediction" not in row:
        fields = ", ".join(map(repr, row))
        raise InputError("no field 'prediction'", where=where, expected="it beside " + fields if fields else "it")
    references = row.get("references", [])
    if not isinstance(references, list):
        raise InputError("'references' is not a list of texts", where=where, expected='such as ["one", "another"]')
    judged = Judged(
        _text(row["prediction"], "'prediction'", where),
        tuple(_text(text, "a reference", where) for text in references),
        _text_of(row, "source", "", where),
        {name: value for name, value in row.items() if name not in KNOWN},
    )
    return Prediction(_text_of(row, "id", str(place), where), _text_of(row, "document", "", where), judged)


def find_prediction_files(path: Path) -> list[Path]:
    """The file itself, or the files of a folder, one for each seed that a system was trained from.

    Raises:
        InputError: there is none.
    """
    with given_path(path):
        if not path.is_dir():
            return [path]
        found = sorted(path.glob("*.jsonl"))
    if not found:
        raise InputError(f"no file in the folder {path} ends in .jsonl", expected="a file of predictions for each seed")
    return found


def in_order_of(first: Sequence[Prediction], other: Sequence[Prediction], where: str) -> list[Prediction]:
    """The predictions of a second file in the order of the first's, by their ids.

    Raises:
        InputError: they are not of the same examples, or not judged by the same references or details of examples.
    """
    by_id = {one.id: one for one in other}
    if len(first) != len(other):
        raise InputError(counted(len(other), "prediction"), where=where, expected=f"{len(first):,}, as the others are")
    missing = [one.id for one in first if one.id not in by_id]
    if missing:
        are = "is" if len(missing) == 1 else "are"
        of_all = f"{len(missing):,} of {counted(len(first), 'id')}"
        what = f"{of_all} of the other file {are} missing, the first {missing[0]!r}"
        raise InputError(what, where=where, expected="predictions for the same examples")
    found = [by_id[one.id] for one in first]
    for one, second in zip(first, found, strict=True):
        if (name := next(_different(one, second), None)) is not None:
            raise InputError(f"{one.id!r} has another {name}", where=where, expected="the same on both sides")
    return found


def _different(one: Prediction, other: Prediction) -> Iterator[str]:
    """What of an example is not the same in two files; details that only one of them has are none of it."""
    if one.judged.references != other.judged.references:
        yield "references"
    if one.document != other.document:
        yield "document"
    if one.judged.source != other.judged.source:
        yield "source"
    first, second = one.judged.details, other.judged.details
    for name in OF_EXAMPLES:
        if name in first and name in second and first[name] != second[name]:
            yield name


def _read_rows(lines: Iterator[tuple[int, str]], path: Path) -> list[Prediction]:
    """In the order of the file; those of an evaluation, which come as they are done, in that of their examples."""
    found: dict[str, Prediction] = {}
    places = list[int]()
    for number, line in lines:
        if line.strip():
            where = f"{path}:{number}"
            row = _object_of(line, where)
            if isinstance(row.get("place"), int):
                places.append(row["place"])
            one = prediction_of(row, len(found) + 1, where)
            if one.id in found:
                raise InputError(f"the id {one.id!r} comes twice", where=where, expected="one prediction")
            found[one.id] = one
    rows = list(found.values())
    if len(places) < len(rows):
        return rows
    return [rows[number] for number in sorted(range(len(rows)), key=places.__getitem__)]


def _object_of(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=where, expected="one JSON object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{type(row).__name__} instead of an object", where=where, expected="one JSON object a line")
    return row


def _references_of(texts: Sequence[str]) -> tuple[str, ...]:
    if len(texts) == 1:
        return tuple(texts)
    return tuple(text for text in texts if text.strip())


def _column(path: Path, predictions: Path, number: int) -> list[str]:
    """The lines of a file that goes with the predictions."""
    lines = [line for _, line in _lines_of(path)]
    if len(lines) != number:
        raise InputError(f"{path} has {counted(len(lines), 'line')}", expected=f"{number:,}, as many as {predictions}")
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


def _text_of(row: Mapping[str, Any], name: str, default: str, where: str) -> str:
    value = row.get(name)
    if name in ("id", "document") and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return default if value is None else _text(value, repr(name), where)


def _text(value: Any, what: str, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{what} is {type(value).__name__}", where=where, expected="text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"half a surrogate pair in {what}", where=where, expected="Unicode text") from None
    return value
