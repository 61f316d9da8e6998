"""The documents table of token shards: what is known of each document beside its ids.

::

    train-00000.arrow    source           id    label   task    spans
                         mails.jsonl      17    null    null    null             all of it is learned
                         reviews.csv      3     good    mood    [[5, 9]]         tokens 5 to 8 are

It is read through a memory map when it is asked for: nobody who does not ask loads pyarrow.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path
from textwright.text.document import Document
from textwright.tokens.tokenizer import Ids, Tokenizer

Integers = npt.NDArray[np.int64]
Spans = list[tuple[int, int]]


def make_table(documents: Sequence[Document]) -> Any:
    """The table of some documents, a ``pyarrow.Table``: one row a document, its spans counted in tokens."""
    import pyarrow

    columns = [
        [_as_text(document.source) for document in documents],
        [document.id for document in documents],
        [_label_text(document.label) for document in documents],
        [document.task for document in documents],
        [document.spans for document in documents],
    ]
    return pyarrow.table(columns, schema=_schema())


def table_bytes(documents: Sequence[Document]) -> bytes:
    """The table of one shard as an Arrow file."""
    import pyarrow

    table = make_table(documents)
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def _schema() -> Any:
    import pyarrow

    text = pyarrow.string()
    return pyarrow.schema(
        {
            "source": pyarrow.dictionary(pyarrow.int32(), text),
            "id": text,
            "label": text,  # a number as its digits, several with commas
            "task": text,
            "spans": pyarrow.list_(pyarrow.list_(pyarrow.int64(), 2)),
        }
    )


def _label_text(label: str | int | tuple[str, ...] | None) -> str | None:
    if label is None:
        return None
    return ", ".join(label) if isinstance(label, tuple) else str(label)


def _as_text(source: str) -> str:
    """A path may hold bytes that are no text."""
    return source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def open_table(paths: Sequence[Path]) -> Any:
    """The tables of several shards as one ``pyarrow.Table``, through memory maps.

    Raises:
        InputError: one is not there, or is no table.
    """
    import pyarrow

    tables = []
    for path in paths:
        try:
            with given_path(path):
                tables.append(pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all())
        except pyarrow.ArrowException as error:
            raise InputError(f"not a table of documents: {error}", where=str(path)) from None
    return pyarrow.concat_tables(tables) if tables else _schema().empty_table()


def rows_of(table: Any) -> Iterator[Document]:
    """The rows of a table, one at a time."""
    for batch in table.to_batches(max_chunksize=1024):
        for row in batch.to_pylist():
            spans = row["spans"]
            yield Document(**row | {"spans": None if spans is None else tuple(map(tuple, spans))})


@dataclass(frozen=True)
class LearnedSpans:
    """Which tokens of a stream are learned, where some are not."""

    starts: Integers
    """Where each span begins in the stream, in order."""
    stops: Integers
    """Where it ends; it begins before the next does."""

    @classmethod
    def of(cls, table: Any, document_ends: Integers) -> "LearnedSpans":
        """Those of a table; a document without spans is learned whole."""
        column = table["spans"].combine_chunks()
        begins = np.concatenate([[0], document_ends[:-1]]).astype(np.int64)
        is_whole = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
        counts = np.diff(np.asarray(column.offsets.to_numpy()))
        counts[is_whole] = 0
        pairs = np.asarray(column.flatten().flatten().to_numpy(), dtype=np.int64).reshape(-1, 2)
        pairs = pairs + np.repeat(begins, counts)[:, None]
        starts = np.concatenate([begins[is_whole], pairs[:, 0]])
        stops = np.concatenate([document_ends[is_whole], pairs[:, 1]])
        order = np.argsort(starts, kind="stable")
        return cls(starts[order], stops[order])

    def contain(self, places: Integers) -> npt.NDArray[np.bool_]:
        """Whether the tokens at places of the stream are learned."""
        if not len(self.starts):
            return np.zeros(places.shape, dtype=bool)
        index = np.searchsorted(self.starts, places, side="right") - 1
        found: npt.NDArray[np.bool_] = (index >= 0) & (places < self.stops[index])
        return found


class SpansInTokens:
    """A document's learned spans, found in its tokens as its chunks are encoded.

    A token is learned if any of its characters is in a span: one that begins with the white space before a span, or
    ends beyond it, is. The end token is learned if the last span reaches the end of the text.

    Args:
        document: with spans.
        num_before: tokens that begin every text.

    Raises:
        InputError: spans that are no ranges of the text, in order and apart.
    """

    def __init__(self, document: Document, *, num_before: int = 0) -> None:
        assert document.spans is not None
        self._document, self._given = document, document.spans
        self._num_characters, self._num_tokens = 0, num_before
        self._found: Spans = []
        edges = [edge for span in self._given for edge in span]
        if any(start >= stop for start, stop in self._given) or edges != sorted(edges) or (edges and edges[0] < 0):
            raise self._refusal("in order, apart, and none of them empty")

    def add(self, text: str, ids: Ids, tokenizer: Tokenizer) -> None:
        """The next chunk and its ids."""
        starts, stops = (places + self._num_characters for places in tokenizer.characters_of(text, ids))
        for start, stop in self._given:
            # Tokens lie in the order of their characters: those that end after the start and begin before the stop.
            first, last = int(np.searchsorted(stops, start, side="right")), int(np.searchsorted(starts, stop))
            self._learn(self._num_tokens + first, self._num_tokens + last)
        self._num_characters += len(text)
        self._num_tokens += len(ids)

    def end(self) -> tuple[tuple[int, int], ...]:
        """All of them, the end token counted, in tokens of the document."""
        last = self._given[-1][1] if self._given else 0
        if last > self._num_characters:
            raise self._refusal(f"ranges of its {self._num_characters:,} characters")
        if self._given and last == self._num_characters:
            self._learn(self._num_tokens, self._num_tokens + 1)
        return tuple(self._found)

    def _learn(self, start: int, stop: int) -> None:
        if self._found and start <= self._found[-1][1]:
            start, stop = self._found[-1][0], max(stop, self._found[-1][1])
            self._found.pop()
        if start < stop:
            self._found.append((start, stop))

    def _refusal(self, expected: str) -> InputError:
        where = ":".join(filter(None, (self._document.source, self._document.id)))
        return InputError(f"learned spans {list(self._given)[:3]}", where=where, expected=expected)
