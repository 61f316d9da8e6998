"""The units of text: a document, and the chunks that its text comes in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of a document beside its text."""

    source: str
    """File or other place it came from."""
    id: str | None = None
    """Its name there: in formats with many documents the ``id`` of its row, or the row's number."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A document's text, or one stretch of a text that is too long to be held."""

    text: str
    document: Document
    is_last: bool = True
    """False for every chunk of a long document but its last: no end token follows."""
