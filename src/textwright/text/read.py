"""The documents of files and folders, as a stream."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path
from textwright.text.document import Chunk
from textwright.text.files import combine_hashes, find_files
from textwright.text.readers import OnInvalid, ReadOptions, reader_for
from textwright.text.spool import Spool
from textwright.text.streams import BROKEN, OpenFile

Progress = Callable[[int], None]


class TextFiles:
    """The text of files and folders, which are read once.

    ::

        files ----> chunks ----> the tokenizer is trained              files ----> chunks ----> shards
           |           |                                      or          |
         hashes      spool ----> chunks ----> shards                    hashes

    A pass that says that it is not the last keeps what it read for the next. So text may come through a pipe, packed
    files are unpacked once, and all that is made of the text is made of the same text.

    Args:
        paths: files and folders.
        scratch: the folder in which text may be kept meanwhile.
        invalid_utf8: see ``ReadOptions``.
        text_field: see ``ReadOptions``.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        scratch: Path | None = None,
        invalid_utf8: OnInvalid = "error",
        text_field: str = "text",
    ) -> None:
        self._paths, self._scratch = paths, scratch
        self._options = ReadOptions(invalid_utf8, text_field)
        self._spool: Spool | None = None
        self.hashes: list[str] = []
        """The SHA-256 of each file, once all were read."""
        self.num_bytes = 0
        """Their size on the disk, once all were read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spool is not None:
            self._spool.close()

    @property
    def fingerprint(self) -> str:
        """As ``files.fingerprint`` has it, once all were read."""
        return combine_hashes(self.hashes)

    def chunks(self, *, progress: Progress | None = None, again: bool = False) -> Iterator[Chunk]:
        """The documents in order, long ones in several chunks.

        Args:
            progress: called when a chunk is done with, with the bytes of the files that have been read so far, as
                they lie on the disk: in the end their whole size, compressed or not.
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
        assert self._scratch is not None, "text is to be kept, and nobody said where"
        with given_path(self._scratch):
            spool = Spool(self._scratch)
            try:
                for chunk, done in self._read():
                    spool.add(chunk, done)
                    yield chunk, done
                spool.finish()
            except BaseException:
                spool.close()
                raise
        self._spool = spool

    def _read(self) -> Iterator[tuple[Chunk, int]]:
        """Each chunk, and the bytes of the files that have been read with it."""
        hashes, done = [], 0
        for path in find_files(self._paths):
            with given_path(path), open(path, "rb", buffering=0) as opened:
                file = OpenFile(path, opened)
                for chunk in _chunks_of(file, self._options):
                    yield chunk, done + file.num_bytes_read()
                hashes.append(file.finish())
                done += file.size_bytes if file.size_bytes is not None else file.num_bytes_read()
        self.hashes, self.num_bytes = hashes, done


def _chunks_of(file: OpenFile, options: ReadOptions) -> Iterator[Chunk]:
    if file.size_bytes == 0:
        raise InputError(f"the file {file.path} is empty", fix="leave it out, or give a file with text")
    try:
        yield from reader_for(file.path)(file, options)
    except BROKEN as error:
        raise InputError(
            f"the file {file.path} cannot be decompressed: {error}", fix="it may be cut short; get it anew"
        ) from None


def read_chunks(
    paths: Sequence[Path],
    *,
    invalid_utf8: OnInvalid = "error",
    text_field: str = "text",
    progress: Progress | None = None,
) -> Iterator[Chunk]:
    """The documents of files and folders, read once. See ``TextFiles``."""
    return TextFiles(paths, invalid_utf8=invalid_utf8, text_field=text_field).chunks(progress=progress)


def read_texts(paths: Sequence[Path], **reading: Any) -> Iterator[str]:
    """The documents of files and folders as whole texts.

    Args:
        paths: files and folders.
        reading: as for ``read_chunks``.
    """
    parts: list[str] = []
    for chunk in read_chunks(paths, **reading):
        parts.append(chunk.text)
        if chunk.is_last:
            yield "".join(parts)
            parts = []
