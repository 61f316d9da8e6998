"""Whole texts of files, for tasks that make their examples of any text."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.wording import SPACELESS
from textwright.text.document import Chunk
from textwright.text.read import read_chunks

WORDS = re.compile(f"{SPACELESS}|(?:(?!{SPACELESS})\\S)+")
"""What counts as a word: what stands between spaces, and each character of a language that is written without."""


def document_texts(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """(name, text) of each document: a file of plain text, or the field ``text`` of a row.

    Raises:
        InputError: a file that cannot be read.
    """
    parts: list[str] = []
    for chunk in _chunks(paths):
        parts.append(chunk.text)
        if chunk.is_last:
            name = Path(chunk.document.source).name
            yield f"{name}:{chunk.document.id}" if chunk.document.id is not None else name, "".join(parts)
            parts = []


def _chunks(paths: Sequence[Path]) -> Iterator[Chunk]:
    try:
        yield from read_chunks(paths)
    except InputError as error:
        if "--" not in error.fix:
            raise
        # What it offers is an option of other commands.
        raise InputError(error.given, expected=error.expected, where=error.where) from None
