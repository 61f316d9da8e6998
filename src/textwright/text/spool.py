"""Chunks kept for a second look, packed, where the files they came from are to be read once only."""

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import zstandard

from textwright.text.document import Chunk, Document

MEMORY_BYTES = 16 << 20
"""So much is held in memory before it goes to the disk."""
LEVEL = 1
AS_JSON = json.JSONEncoder(ensure_ascii=False)


class Spool:
    """Chunks written once and then read as often as is wanted.

    What does not fit into memory lies in a file without a name, so that nothing is left of it, however this process
    ends.

    Args:
        folder: where it lies: beside what is made of it, never in the system's temporary folder.
    """

    def __init__(self, folder: Path) -> None:
        # closed by close(), or by the end of the process
        self._file = cast(IO[bytes], tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(folder)))  # noqa: SIM115
        self._packer = zstandard.ZstdCompressor(level=LEVEL).stream_writer(self._file, closefd=False)

    def add(self, chunk: Chunk, done: int) -> None:
        """Keep a chunk, and how far the files had been read with it."""
        known = chunk.document
        row = (
            done,
            chunk.text,
            chunk.is_last,
            known.source,
            known.id,
            known.label,
            known.task,
            known.spans,
            known.group,
            known.format,
        )
        self._packer.write(AS_JSON.encode(row).encode("utf-8", "surrogatepass") + b"\n")

    def finish(self) -> None:
        """No more chunks are coming."""
        self._packer.flush(zstandard.FLUSH_FRAME)

    def read(self) -> Iterator[tuple[Chunk, int]]:
        """Each chunk, and how far the files had been read with it."""
        self._file.seek(0)
        unpacked = zstandard.ZstdDecompressor().stream_reader(self._file, closefd=False)
        for line in io.BufferedReader(cast(io.RawIOBase, unpacked)):
            done, text, is_last, source, name, label, task, spans, group, kind = json.loads(line)
            learned = None if spans is None else tuple((start, stop) for start, stop in spans)
            label = tuple(label) if isinstance(label, list) else label
            document = Document(source, name, label, task, learned, group, kind)
            yield Chunk(text, document, is_last), done

    def close(self) -> None:
        """Give the space back."""
        self._file.close()
