"""Files of predictions: JSON lines, an object an example, by whatever system wrote them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path, read_text
from textwright.evaluation.metrics.base import Judged

KNOWN = ("id", "document", "prediction", "references", "source")


@dataclass(frozen=True)
class Prediction:
    """A line of a file."""

    id: str
    """What example it is of: its place in the file where no name is given."""
    document: str
    """Examples of one document stand and fall together; empty: each for itself."""
    judged: Judged


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


def read_predictions(path: Path) -> list[Prediction]:
    """The predictions of a file, in its order.

    Raises:
        InputError: what is no prediction, by its line, or an id that comes twice.
    """
    found: dict[str, Prediction] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            one = _read_line(line, len(found) + 1, f"{path}:{number}")
            if one.id in found:
                raise InputError(f"the id {one.id!r} comes twice", where=f"{path}:{number}", expected="one prediction")
            found[one.id] = one
    if not found:
        raise InputError(f"no prediction in {path}", expected="a JSON object a line")
    return list(found.values())


def _read_line(line: str, place: int, where: str) -> Prediction:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=where, expected="one JSON object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{type(row).__name__} instead of an object", where=where, expected="one JSON object a line")
    references = row.get("references", [])
    if not isinstance(references, list) or not all(isinstance(one, str) for one in references):
        raise InputError("'references' is no list of texts", where=where, expected='such as ["a text", "another"]')
    if "prediction" not in row:
        raise InputError("there is no 'prediction'", where=where, expected="a text by that name")
    return Prediction(
        id=_text_of(row, "id", str(place), where),
        document=_text_of(row, "document", "", where),
        judged=Judged(
            _text_of(row, "prediction", None, where),
            tuple(references),
            _text_of(row, "source", "", where),
            {name: value for name, value in row.items() if name not in KNOWN},
        ),
    )


def _text_of(row: dict[str, Any], name: str, default: str | None, where: str) -> str:
    value = row.get(name, default)
    if name in ("id", "document") and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise InputError(f"{name!r} is {type(value).__name__}", where=where, expected="text")
    return value


def in_order_of(first: Sequence[Prediction], other: Sequence[Prediction], where: str) -> list[Prediction]:
    """The predictions of a second file in the order of the first's, by their ids.

    Raises:
        InputError: they are not of the same examples, or not judged by the same references.
    """
    by_id = {one.id: one for one in other}
    if len(first) != len(other):
        raise InputError(f"{len(other):,} predictions", where=where, expected=f"{len(first):,}, as the others are")
    missing = [one.id for one in first if one.id not in by_id]
    if missing:
        what = f"{len(missing):,} of {len(first):,} ids of the other file are missing, the first {missing[0]!r}"
        raise InputError(what, where=where, expected="predictions for the same examples")
    found = [by_id[one.id] for one in first]
    for one, second in zip(first, found, strict=True):
        for name, is_same in (
            ("references", one.judged.references == second.judged.references),
            ("document", one.document == second.document),
            ("source", one.judged.source == second.judged.source),
        ):
            if not is_same:
                raise InputError(f"{one.id!r} has another {name}", where=where, expected="the same on both sides")
    return found
