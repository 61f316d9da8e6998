"""A file as its bytes, decompressed as they are read, and hashed as they lie on the disk."""

import gzip
import hashlib
import io
import os
import stat
import zlib
from pathlib import Path
from typing import Any

import zstandard

READ_BYTES = 1 << 20
ZST_READ_BYTES = 1 << 12  # little, since a few bytes of a hostile file can become very many
PACKED = (".gz", ".zst")
"""How names end of what is unpacked as it is read."""
MOST_WINDOW_BYTES = 1 << 31
"""Of Zstandard: what ``zstd --long=31`` asks for, as large archives of text do."""
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
"""What is raised by bytes that are not what a compressor wrote."""


class OpenFile:
    """A file that is being read from its beginning: its bytes, decompressed, and how far its own have been taken."""

    def __init__(self, path: Path, opened: io.FileIO) -> None:
        self.path, self._counted = path, _CountedFile(opened)
        facts = os.fstat(opened.fileno())
        self.size_bytes = facts.st_size if stat.S_ISREG(facts.st_mode) else None
        """None for a pipe, whose end nobody knows."""
        self.share_read: float | None = None
        """Set by readers that go through the file by themselves."""
        self.num_null = 0
        """Rows without text that were passed over."""
        self._raw = io.BufferedReader(self._counted, READ_BYTES)
        self.stream: io.BufferedIOBase = self._raw
        if path.suffix.lower() == ".gz":
            self.stream = gzip.GzipFile(fileobj=self._raw)
        elif path.suffix.lower() == ".zst":
            self.stream = io.BufferedReader(_ZstdFile(self._raw), READ_BYTES)

    def start(self) -> bytes:
        """Some of its first bytes, unpacked, before any was read."""
        found: bytes = self.stream.peek(READ_BYTES)  # type: ignore[attr-defined]
        return found

    def num_bytes_read(self) -> int:
        """Of the file as it lies on the disk."""
        if self.size_bytes is None:
            return self._raw.tell()
        if self.share_read is not None:
            return int(self.share_read * self.size_bytes)
        return min(self._raw.tell(), self.size_bytes)

    def finish(self) -> str:
        """Take what is left, and give the SHA-256 of the whole."""
        while self._raw.read(READ_BYTES):
            pass
        return self._counted.sha256.hexdigest()


class _CountedFile(io.RawIOBase):
    """A file's bytes in order, counted and hashed on the way."""

    def __init__(self, opened: io.FileIO) -> None:
        self._opened, self._count, self.sha256 = opened, 0, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._opened.readinto(buffer) or 0
        self.sha256.update(memoryview(buffer)[:count])
        self._count += count
        return count

    def tell(self) -> int:
        return self._count


def _decompressor() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES).decompressobj()


class _ZstdFile(io.RawIOBase):
    """Zstandard frames one after the other, decompressed as they are read. zstandard's own reader takes a file that
    is cut short for a whole one."""

    def __init__(self, compressed: io.BufferedIOBase) -> None:
        self._compressed = compressed
        self._frame = _decompressor()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            raw = self._compressed.read(ZST_READ_BYTES)
            if not raw:
                if not self._frame.eof:
                    raise EOFError("it ends inside a frame")
                return 0
            ready = []
            while raw:
                if self._frame.eof:
                    self._frame = _decompressor()
                ready.append(self._frame.decompress(raw))
                raw = self._frame.unused_data if self._frame.eof else b""
            self._ready = memoryview(b"".join(ready))
        count = min(len(buffer), len(self._ready))
        # A view: what is left of very many bytes is not copied each time that some are taken.
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count
