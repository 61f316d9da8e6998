"""Meanings of sentences, as slots and their values: ``name[Blue Spice], area[riverside]``."""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.parallel import read_parallel
from textwright.tasks.rows import LINE, Row, open_rows
from textwright.tasks.wording import one_line, spoken
from textwright.text.files import find_files, is_descriptor

Slots = tuple[tuple[str, str], ...]
"""(slot, value)"""
_SLOT = re.compile(r"\s*([^\[\],]+)\[([^\]]*)\]\s*(?:,|$)")
_TOKENISED_SLOT = re.compile(r"__start_(\w+)__ (.*?) __end_\1__")
_TOKENISED_NAMES = {"customerrating": "customer rating"}
"""What the tokenised copy of E2E calls otherwise."""
_ENDS_OF_TOKENISED = re.compile(r"\s*<eos>.*")
_SPACE_BEFORE = re.compile(r" (?=[.,;:!?)%]|'(?:s|re|ve|ll|d|m|t)\b|n't\b)")
_SPACE_AFTER = re.compile(r"(?<=[£$€(]) ")
_SPACED_HYPHEN = re.compile(r"(?<=\w) - (?=\w)")


@dataclass(frozen=True)
class Meaning:
    """What a sentence says."""

    slots: Slots
    text: str
    """The sentence."""
    id: str


def read_meanings(rows: Iterator[Row]) -> Iterator[Meaning]:
    """The meanings of rows with the fields ``mr`` and ``ref``, as E2E has them.

    Raises:
        InputError: a field is not there, or the meaning is no list of slots.
    """
    known: dict[str, Slots] = {}  # most meanings come many times
    for row in rows:
        text = row.text("mr")
        slots = known.get(text)
        if slots is None:
            slots = known[text] = _slots_of(text, row.where)
        yield Meaning(slots, one_line(row.text("ref")), row.id)


def find_tokenised(paths: Sequence[Path]) -> list[Path] | None:
    """The two files of the tokenised copy of E2E, the meanings' first; None where the files are others."""
    files = find_files(paths)
    if len(files) != 2 or any(map(is_descriptor, files)):
        return None
    starts = []
    for path in files:
        form, rows = open_rows(path)
        first = next(rows, None)
        starts.append(str(first.fields[LINE]) if first is not None and form == "lines" else "")
    places = [place for place, start in enumerate(starts) if start.startswith("__start_")]
    return [files[place] for place in (*places, *(1 - place for place in places))] if len(places) == 1 else None


def read_tokenised(files: Sequence[Path]) -> Iterator[Meaning]:
    """The meanings of the tokenised copy of E2E, the texts as they were before they were cut into tokens."""
    slots = functools.cache(_tokenised_slots)  # most meanings come many times
    for source, target, name in read_parallel(files):
        yield Meaning(slots(source), joined(_ENDS_OF_TOKENISED.sub("", target)), name)


def _tokenised_slots(text: str) -> Slots:
    found = _TOKENISED_SLOT.findall(text)
    return tuple((_TOKENISED_NAMES.get(name, spoken(name)), joined(value)) for name, value in found)


def joined(text: str) -> str:
    """A tokenised text without the spaces that were put into it."""
    for spaces, put in ((_SPACE_BEFORE, ""), (_SPACE_AFTER, ""), (_SPACED_HYPHEN, "-")):
        text = spaces.sub(put, text)
    return text.strip()


def _slots_of(text: str, where: str) -> Slots:
    found, place = list[tuple[str, str]](), 0
    while place < len(text) and (slot := _SLOT.match(text, place)):
        found.append((spoken(slot[1]), one_line(slot[2])))
        place = slot.end()
    if not found or place < len(text.rstrip()):
        raise InputError(f"{text[place : place + 40]!r}", where=where, expected="slots such as name[Blue Spice]")
    return tuple(found)
