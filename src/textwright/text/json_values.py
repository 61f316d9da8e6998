"""The values of JSON files: one a line, the elements of an array, or values one after the other."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.text.lines import Lines

Values = Iterator[tuple[int, str, Any]]
"""(line or place, the same with its file for messages, value)"""
_SPACE = re.compile(r"[ \t\n\r]*")


def values_of_lines(lines: Lines, path: Path) -> Values:
    """A value a line; lines without anything are passed over.

    Raises:
        InputError: a line that is no JSON.
    """
    for number, line in lines:
        if line.strip():
            where = f"{path}:{number}"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"not valid JSON: {error}", where=where, expected="one JSON object a line") from None
            yield number, where, value


def values_of_file(lines: Lines, path: Path) -> Values:
    """The elements of the file's array, or its value, or its values where there are several; JSON lines as such.

    Raises:
        InputError: it is no JSON.
    """
    begun = list[tuple[int, str]]()
    for number, line in lines:
        begun.append((number, line))
        if line.strip():
            break
    values = _whole_value(begun[-1][1]) if begun else []
    if values:
        second = next(((number, line) for number, line in lines if line.strip()), None)
        if second is not None:
            yield from values_of_lines(chain(begun[-1:], [second], lines), path)
            return
    values = values or list(json_values("".join(line for _, line in chain(begun, lines)), path))
    if len(values) == 1 and isinstance(values[0], list):
        (values,) = values
    for index, value in enumerate(values):
        yield index, f"{path}[{index}]", value


def json_values(text: str, path: Path) -> Iterator[Any]:
    """The JSON values of a text, one after the other.

    Raises:
        InputError: it is no JSON.
    """
    decoder, place = json.JSONDecoder(), _end_of_space(text, 0)
    while True:
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not valid JSON: {error}", where=str(path)) from None
        yield value
        place = _end_of_space(text, place)
        if place == len(text):
            return


def _whole_value(text: str) -> list[Any]:
    """The JSON value that a text is; nothing where it is none, or more than one."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return []


def _end_of_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
