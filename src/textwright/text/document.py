"""The unit of text: a document, or a piece of a long one."""

from collections.abc import Iterator
from dataclasses import dataclass

PIECE_CHARACTERS = 1 << 20
"""Pieces of a long document have about this many characters, so that memory does not grow with the document."""


@dataclass(frozen=True)
class Document:
    """A text and where it came from."""

    text: str
    source: str
    """File, and for formats with many documents the line or row: ``mails.jsonl:17``."""
    is_last: bool = True
    """False for every piece of a long document but its last: no end token follows."""


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """A text cut into (piece, whether it is the last).

    Cut only before white space that follows something else: there no token of GPT-2's pattern crosses, so that the
    pieces' tokens are the text's. A text that offers no such place is not cut.
    """
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        cut = last_border(text, start + 1, start + PIECE_CHARACTERS) or next_border(text, start + PIECE_CHARACTERS)
        if cut is None:
            break
        yield text[start:cut], False
        start = cut
    yield text[start:], True


def last_border(text: str, low: int, high: int) -> int | None:
    """The last place in [low, high) where white space follows something else."""
    for place in range(min(high, len(text)) - 1, max(low, 1) - 1, -1):
        if text[place].isspace() and not text[place - 1].isspace():
            return place
    return None


def next_border(text: str, low: int) -> int | None:
    """The first such place at or after ``low``."""
    for place in range(max(low, 1), len(text)):
        if text[place].isspace() and not text[place - 1].isspace():
            return place
    return None
