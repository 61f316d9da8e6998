"""The documents of files and folders, as a stream."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path
from textwright.text.document import Chunk
from textwright.text.encodings import refuse_other_than_text
from textwright.text.files import combine_hashes, describe_left_out, none_left, search
from textwright.text.options import ReadOptions
from textwright.text.readers import read_parquet, reader_for
from textwright.text.spool import Spool
from textwright.text.streams import BROKEN, OpenFile

Progress = Callable[[int], None]


class Text(ABC):
    """Documents that come once, and are kept for who asks for them again.

    ::

        files ----> chunks ----> the tokenizer is trained              files ----> chunks ----> shards
           |           |                                      or          |
         hashes      spool ----> chunks ----> shards                    hashes

    A pass that says that it is not the last keeps what it read for the next. So text may come through a pipe, packed
    files are unpacked once, and all that is made of the text is made of the same text.

    Args:
        scratch: the folder in which text may be kept meanwhile.
    """

    def __init__(self, scratch: Path | None = None) -> None:
        self.scratch = scratch
        self._spool: Spool | None = None
        self.num_bytes = 0
        """The size of the whole, once all was read: of files as they lie on the disk, else of the text."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            self._spool.close()

    def chunks(self, *, progress: Progress | None = None, again: bool = False) -> Iterator[Chunk]:
        """The documents in order, long ones in several chunks.

        Args:
            progress: called when a chunk is done with, with the bytes that have been read so far of ``num_bytes``.
            again: whether the text will be asked for once more.

        Raises:
            InputError: what cannot be read, with file and place.
        """
        before: int | None = None
        for chunk, done in self._passed(again):
            if progress is not None and before is not None:
                progress(before)
            yield chunk
            before = done
        if progress is not None:
            progress(self.num_bytes)

    def texts(self) -> Iterator[str]:
        """The chunks' texts, of which more is wanted afterwards."""
        return (chunk.text for chunk in self.chunks(again=True))

    def _passed(self, again: bool) -> Iterator[tuple[Chunk, int]]:
        if self._spool is not None:
            return self._spool.read()
        return self._read_and_keep() if again else self._read()

    def _read_and_keep(self) -> Iterator[tuple[Chunk, int]]:
        assert self.scratch is not None, "text is to be kept, and nobody said where"
        with given_path(self.scratch):
            spool = Spool(self.scratch)
            try:
                for chunk, done in self._read():
                    spool.add(chunk, done)
                    yield chunk, done
                spool.finish()
            except BaseException:
                spool.close()
                raise
        self._spool = spool

    @abstractmethod
    def _read(self) -> Iterator[tuple[Chunk, int]]:
        """Each chunk, and the bytes that have been read with it."""


class TextFiles(Text):
    """The text of files and folders, which are read once.

    Args:
        paths: files and folders.
        but: those whose files are left out: what is validated on.
        scratch: the folder in which text may be kept meanwhile.
        reading: see ``ReadOptions``.
    """

    def __init__(
        self, paths: Sequence[Path], *, but: Sequence[Path] = (), scratch: Path | None = None, **reading: Any
    ) -> None:
        super().__init__(scratch)
        self._paths, self._but, self._options = paths, but, ReadOptions(**reading)
        self.hashes: list[str] = []
        """The SHA-256 of each file, once all were read."""
        self._left_out: dict[str, list[str]] = {}
        self.num_null = 0
        """Rows that were passed over, once all were read."""

    @property
    def fingerprint(self) -> str:
        """As ``files.fingerprint`` has it, once all were read."""
        return combine_hashes(self.hashes)

    @property
    def summary(self) -> str:
        """What was read and what was not, in one line, once all files were read."""
        count = len(self.hashes)
        left_out = describe_left_out(self._left_out)
        num_identical = sum(number for number in Counter(self.hashes).values() if number > 1)
        parts = [
            f"{count:,} file{'s' if count != 1 else ''} read" + (f", {left_out}" if left_out else ""),
            *([f"{num_identical:,} identical"] if num_identical else []),
            *([f"{self.num_null:,} rows without text passed over"] if self.num_null else []),
        ]
        return "; ".join(parts)

    def _read(self) -> Iterator[tuple[Chunk, int]]:
        hashes, done, num_null = [], 0, 0
        found = search(self._paths, but=self._but)
        if not found.files:
            raise none_left(self._paths)
        for path in found.files:
            with given_path(path), open(path, "rb", buffering=0) as opened:
                file = OpenFile(path, opened)
                for chunk in _chunks_of(file, self._options):
                    yield chunk, done + file.num_bytes_read()
                hashes.append(file.finish())
                done += file.size_bytes if file.size_bytes is not None else file.num_bytes_read()
                num_null += file.num_null
        self.hashes, self.num_bytes, self.num_null, self._left_out = hashes, done, num_null, found.left_out


class GivenText(Text):
    """Documents that are in memory, or are made as they are asked for.

    Args:
        given: their chunks, which are gone through once.
    """

    def __init__(self, given: Iterable[Chunk]) -> None:
        super().__init__()
        self._given = given

    def _read(self) -> Iterator[tuple[Chunk, int]]:
        done = 0
        for chunk in self._given:
            done += chunk.num_bytes
            yield chunk, done
        self.num_bytes = done


def _chunks_of(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    read = reader_for(file.path)
    with reading(file, is_text=read is not read_parquet):
        yield from read(file, options)


@contextmanager
def reading(file: OpenFile, *, is_text: bool = True) -> Iterator[None]:
    """A block that reads a file from its beginning, and says of one that cannot be read why.

    Args:
        file: nothing of it was read.
        is_text: whether it must be text, once it is unpacked.

    Raises:
        InputError: it is empty, something else than text, or was packed by nobody.
    """
    if file.size_bytes == 0:
        raise InputError(f"the file {file.path} is empty", fix="leave it out, or give a file with text")
    try:
        if is_text:
            refuse_other_than_text(file.path, file.start())
        yield
    except BROKEN as error:
        raise InputError(
            f"the file {file.path} cannot be decompressed: {error}", fix="it may be cut short; get it anew"
        ) from None


def read_chunks(paths: Sequence[Path], *, progress: Progress | None = None, **reading: Any) -> Iterator[Chunk]:
    """The documents of files and folders, read once. See ``TextFiles``."""
    return TextFiles(paths, **reading).chunks(progress=progress)


def read_texts(paths: Sequence[Path], **reading: Any) -> Iterator[str]:
    """The documents of files and folders as whole texts.

    Args:
        paths: files and folders.
        reading: as for ``read_chunks``.
    """
    return whole_texts(read_chunks(paths, **reading))


def whole_texts(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Documents as whole texts."""
    parts: list[str] = []
    for chunk in chunks:
        parts.append(chunk.text)
        if chunk.is_last:
            yield "".join(parts)
            parts = []
