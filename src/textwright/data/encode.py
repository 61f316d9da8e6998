"""From text to token shards: a unit of work becomes one shard, whoever does it and however often it is done."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from textwright.core.files import atomic_file
from textwright.data.dataset import Ids
from textwright.data.documents import SpansInTokens, table_bytes
from textwright.data.manifest import SUFFIXES, ShardInfo, ids_dtype
from textwright.text.chunks import whole_documents
from textwright.text.document import Chunk, Document
from textwright.tokens.tokenizer import Tokenizer

WRITE_TOKENS = 1 << 18


@dataclass(frozen=True)
class Unit:
    """What becomes one shard."""

    name: str
    """The shard's: a split and a number, ``train-00000``."""
    chunks: Iterable[Chunk]
    """Whole documents, none of them without text."""


def encode(unit: Unit, tokenizer: Tokenizer, folder: Path) -> ShardInfo:
    """Write a unit's shard. The same unit gives the same bytes; a file is there whole or not at all.

    Args:
        unit: its chunks are gone through once, and not held.
        tokenizer: makes the ids; every document ends in its end token.
        folder: what is there under the shard's name is replaced.

    Raises:
        InputError: a document's learned spans are none of its text.
    """
    spans: SpansInTokens | None = None
    begin, end = (np.array(ids, dtype=np.uint32) for ids in (tokenizer.begin_ids, [tokenizer.end_id]))
    is_first = True
    with write_shard(folder, unit.name, ids_dtype(tokenizer)) as shard:
        for chunk in whole_documents(unit.chunks) if tokenizer.reads_whole else unit.chunks:
            shard.num_bytes += num_bytes(chunk.text)
            shard.num_characters += len(chunk.text)
            ids = tokenizer.encode_array(chunk.text)
            if is_first:
                shard.add(begin)
            shard.add(ids)
            if chunk.document.spans is not None:
                spans = SpansInTokens(chunk.document, num_before=len(begin)) if spans is None else spans
                spans.add(chunk.text, ids, tokenizer)
            if chunk.is_last:
                shard.add(end)
                shard.end_document(chunk.document if spans is None else replace(chunk.document, spans=spans.end()))
                spans = None
            is_first = chunk.is_last
    return shard.info()


class ShardWriter:
    """A shard as it is written, document after document."""

    def __init__(self, name: str, dtype: np.dtype[Any], ids: BinaryIO, ends: BinaryIO, table: BinaryIO) -> None:
        self.num_bytes, self.num_characters, self.num_tokens, self.num_documents = 0, 0, 0, 0
        self._name, self._dtype = name, dtype
        self._held, self._num_held = list[Ids](), 0
        self._document_ends, self._documents = list[int](), list[Document]()
        self._ids, self._ends, self._table = _HashedFile(ids), _HashedFile(ends), _HashedFile(table)

    def add(self, ids: Ids) -> None:
        """Ids of the document in hand."""
        self._held.append(ids)
        self.num_tokens += len(ids)
        self._num_held += len(ids)
        if self._num_held >= WRITE_TOKENS:  # a write for each of many small documents would take longer than its ids
            self._write_held()

    def end_document(self, document: Document) -> None:
        """The document in hand ends here; its spans are counted in tokens."""
        self._documents.append(document)
        self._document_ends.append(self.num_tokens)
        self.num_documents += 1

    def _write_held(self) -> None:
        if self._held:
            self._ids.write(np.concatenate(self._held).astype(self._dtype).tobytes())
        self._held, self._num_held = [], 0

    def finish(self) -> None:
        """All documents are there."""
        self._write_held()
        self._ends.write(np.array(self._document_ends, dtype="<u8").tobytes())
        self._table.write(table_bytes(self._documents))

    def info(self) -> ShardInfo:
        """What the shard holds."""
        return ShardInfo(
            self._name,
            self.num_tokens,
            self.num_documents,
            self._ids.sha256.hexdigest(),
            self._ends.sha256.hexdigest(),
            self.num_bytes,
            self.num_characters,
            self._table.sha256.hexdigest(),
            any(document.spans is not None for document in self._documents),
        )


@contextmanager
def write_shard(folder: Path, name: str, dtype: np.dtype[Any]) -> Iterator[ShardWriter]:
    """A shard to write, whose files take their names when the block ends well, and vanish when it does not."""
    with ExitStack() as stack:
        files = [stack.enter_context(atomic_file(folder / f"{name}{suffix}")) for suffix in SUFFIXES]
        shard = ShardWriter(name, dtype, *files)
        yield shard
        shard.finish()


class _HashedFile:
    def __init__(self, file: BinaryIO) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def write(self, raw: bytes) -> None:
        self._file.write(raw)
        self.sha256.update(raw)


def num_bytes(text: str) -> int:
    """Of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
