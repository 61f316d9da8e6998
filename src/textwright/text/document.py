"""The units of text: a document, and the chunks that its text comes in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of a document beside its text."""

    source: str
    """File or other place it came from."""
    id: str | None = None
    """Its name there: in formats with many documents the ``id`` of its row, or the row's number."""
    label: str | int | tuple[str, ...] | None = None
    """What it as a whole is, or is to be recognised as; several where that is a list, such as keywords."""
    task: str | None = None
    """Which task it is an example of."""
    spans: tuple[tuple[int, int], ...] | None = None
    """What of it is learned: [start, stop) of its characters, or once it is encoded of its tokens. None: all of it."""
    group: str | None = None
    """Documents of one group are on one side where some are held out. None: each stands by itself."""
    format: str | None = None
    """Of a row that says what is given and what is learned, which format it has. None: a text."""

    def with_spans(self, spans: tuple[tuple[int, int], ...] | None) -> "Document":
        """The same with other spans: a third of the time of ``dataclasses.replace``, which counts with many rows."""
        return Document(self.source, self.id, self.label, self.task, spans, self.group, self.format)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A document's text, or one stretch of a text that is too long to be held."""

    text: str
    document: Document
    is_last: bool = True
    """False for every chunk of a long document but its last: no end token follows."""

    @property
    def num_bytes(self) -> int:
        """Of its text in UTF-8."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())
