"""Documents from files: plain text, JSON lines, JSON, CSV, Parquet, each also compressed, and folders of them.

A file of plain text is one document. A line, an element or a row of the other formats is one, by its ``text`` field.
"""

import codecs
import csv
import gzip
import hashlib
import io
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import zstandard

from textwright.core.errors import InputError, nearest
from textwright.core.files import sha256_file
from textwright.core.user_paths import given_path
from textwright.text.document import PIECE_CHARACTERS, Document, find_boundary, pieces
from textwright.text.normalise import normalise

OnInvalid = Literal["error", "replace"]
READ_BYTES = 1 << 20
ZST_READ_BYTES = 1 << 12  # little, since a few bytes of a hostile file can become very many
CSV_FIELD_CHARACTERS = 1 << 28
"""A longer field is taken for an unclosed quotation mark."""
# In a folder only what is likely text is read; a file that is named is read whatever it is called.
BINARY = frozenset(
    (
        ".7z",
        ".a",
        ".bin",
        ".bmp",
        ".bz2",
        ".class",
        ".dll",
        ".dylib",
        ".egg",
        ".exe",
        ".gif",
        ".ico",
        ".idx",
        ".jar",
        ".jpeg",
        ".jpg",
        ".mo",
        ".mp3",
        ".mp4",
        ".npy",
        ".npz",
        ".o",
        ".ogg",
        ".pdf",
        ".pkl",
        ".png",
        ".pt",
        ".pyc",
        ".pyd",
        ".pyo",
        ".safetensors",
        ".so",
        ".split",
        ".sqlite",
        ".tar",
        ".tgz",
        ".tif",
        ".tiff",
        ".ttf",
        ".wav",
        ".webp",
        ".whl",
        ".woff",
        ".woff2",
        ".xz",
        ".zip",
    )
)


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files of text at ``paths``: files as named, folders searched through in sorted order.

    Links to folders are not followed, hidden files and those of binary formats are left out.

    Raises:
        InputError: a path that is not there, is neither file nor folder, or a folder without text.
    """
    if not paths:
        raise InputError("no text", expected="at least one file or folder")
    files: list[Path] = []
    for path in paths:
        with given_path(path):
            files += _files_at(path)
    return files


def _files_at(path: Path) -> list[Path]:
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return [path]
    if not stat.S_ISDIR(mode):
        raise InputError(f"{path} is not a regular file", expected="a file or a folder")
    found = [file for file in _walk(path) if file.suffix.lower() not in BINARY and _is_regular(file)]
    if not found:
        raise InputError(f"no text in the folder {path}", expected="files such as .txt, .md, .jsonl or .csv")
    return found


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 over the hashes of the files at ``paths``: the same bytes in the same order, the same fingerprint.

    Raises:
        InputError: as ``find_files``, or a file that cannot be read.
    """
    hashes = []
    for path in find_files(paths):
        with given_path(path):
            hashes.append(sha256_file(path))
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def _refuse(error: OSError) -> None:
    # Left out in silence, a folder's text would be missed by nobody until the model does not know of it.
    with given_path(Path(os.fsdecode(error.filename))):
        raise error


def _is_regular(path: Path) -> bool:
    # A FIFO or a device would be waited on for ever.
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_documents(
    paths: Sequence[Path],
    *,
    invalid_utf8: OnInvalid = "error",
    text_field: str = "text",
    progress: Callable[[int], None] | None = None,
) -> Iterator[Document]:
    """The documents of files and folders, in order, long ones in pieces.

    Args:
        paths: files and folders.
        invalid_utf8: ``error`` refuses a file with bytes that are not UTF-8; ``replace`` puts U+FFFD for them.
        text_field: the field, column or key that holds the text, in formats that have such.
        progress: called when a document is done with, with the bytes of the files that have been read so far, as they
            lie on the disk: in the end their whole size, compressed or not.

    Raises:
        InputError: what cannot be read, with file and place.
    """
    done = 0
    for file in find_files(paths):
        with given_path(file), open(file, "rb") as raw:
            opened = _OpenFile(file, raw)
            for document in _read_file(opened, invalid_utf8, text_field):
                yield document
                if progress is not None:
                    progress(done + opened.num_bytes_read())
        done += opened.size_bytes
        if progress is not None:
            progress(done)


def _read_file(file: "_OpenFile", invalid_utf8: OnInvalid, text_field: str) -> Iterator[Document]:
    path = file.path
    inner = path.with_suffix("") if path.suffix in (".gz", ".zst") else path
    suffix = inner.suffix.lower()
    if file.size_bytes == 0:
        raise InputError(f"the file {path} is empty", fix="leave it out, or give a file with text")
    try:
        if suffix == ".parquet":
            yield from _read_parquet(file, text_field)
        else:
            yield from _READERS.get(suffix, _read_plain)(file.stream, path, invalid_utf8, text_field)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise InputError(
            f"the file {path} cannot be decompressed: {error}", fix="it may be cut short; get it anew"
        ) from None


class _OpenFile:
    """A file that is being read: its bytes, decompressed, and how far its own have been taken."""

    def __init__(self, path: Path, raw: io.BufferedReader) -> None:
        self.path, self._raw = path, raw
        self.size_bytes = os.fstat(raw.fileno()).st_size
        self.share_read: float | None = None
        """Set by readers that do not go from the beginning to the end."""
        self.stream: io.BufferedIOBase = raw
        if path.suffix == ".gz":
            self.stream = gzip.GzipFile(fileobj=raw)
        elif path.suffix == ".zst":
            self.stream = io.BufferedReader(_ZstdFile(raw), READ_BYTES)

    def num_bytes_read(self) -> int:
        if self.share_read is not None:
            return int(self.share_read * self.size_bytes)
        return min(self._raw.tell(), self.size_bytes)


class _ZstdFile(io.RawIOBase):
    """Zstandard frames one after the other, decompressed as they are read. zstandard's own reader takes a file that
    is cut short for a whole one."""

    def __init__(self, compressed: io.BufferedIOBase) -> None:
        self._compressed = compressed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
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
                    self._frame = zstandard.ZstdDecompressor().decompressobj()
                ready.append(self._frame.decompress(raw))
                raw = self._frame.unused_data if self._frame.eof else b""
            self._ready = memoryview(b"".join(ready))
        count = min(len(buffer), len(self._ready))
        # A view: what is left of very many bytes is not copied each time that some are taken.
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _read_plain(stream: io.BufferedIOBase, path: Path, invalid_utf8: OnInvalid, _: str) -> Iterator[Document]:
    """One document, in pieces as it is read."""
    waiting, is_empty = "", True
    for text in _decoded(stream, path, invalid_utf8):
        waiting += normalise(text)
        while len(waiting) > PIECE_CHARACTERS:
            cut = find_boundary(waiting, 1, PIECE_CHARACTERS)
            yield Document(waiting[:cut], str(path), is_last=False)
            waiting, is_empty = waiting[cut:], False
    if waiting or not is_empty:
        yield Document(waiting, str(path))


def _decoded(stream: io.BufferedIOBase, path: Path, invalid_utf8: OnInvalid) -> Iterator[str]:
    """The stream's text in parts that never end inside a character or between CR and LF."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict" if invalid_utf8 == "error" else "replace")
    offset, held, is_first = 0, "", True
    while True:
        raw = stream.read(READ_BYTES)
        pending = len(decoder.getstate()[0])
        try:
            text = held + decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise invalid(path, offset - pending + error.start) from None
        if is_first and text:
            text, is_first = text.removeprefix("\ufeff"), False
        offset += len(raw)
        held = "\r" if raw and text.endswith("\r") else ""
        yield text.removesuffix("\r") if held else text
        if not raw:
            return


def invalid(path: Path, offset: int) -> InputError:
    """The error for bytes that are not UTF-8."""
    return InputError(
        f"{path} is not UTF-8 at byte {offset:,}",
        expected="UTF-8 text",
        fix="convert it (iconv -f LATIN1 -t UTF-8), or read it with --invalid-utf8 replace",
    )


def _lines(stream: io.BufferedIOBase, path: Path, invalid_utf8: OnInvalid) -> Iterator[tuple[int, str]]:
    """(line number from 1, line) of a stream, one at a time."""
    offset = 0
    for number, raw in enumerate(stream, 1):
        try:
            line = raw.decode("utf-8", "strict" if invalid_utf8 == "error" else "replace")
        except UnicodeDecodeError as error:
            raise invalid(path, offset + error.start) from None
        offset += len(raw)
        yield number, line.removeprefix("\ufeff") if number == 1 else line


def _read_jsonl(stream: io.BufferedIOBase, path: Path, invalid_utf8: OnInvalid, field: str) -> Iterator[Document]:
    for number, line in _lines(stream, path, invalid_utf8):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"not valid JSON: {error}", where=where, expected="one JSON object a line") from None
        yield from _documents(_text_of(value, field, where), where)


def _read_json(stream: io.BufferedIOBase, path: Path, invalid_utf8: OnInvalid, field: str) -> Iterator[Document]:
    raw = b"".join(iter(lambda: stream.read(READ_BYTES), b""))
    try:
        values = json.loads(
            raw.decode("utf-8", "strict" if invalid_utf8 == "error" else "replace").removeprefix("\ufeff")
        )
    except UnicodeDecodeError as error:
        raise invalid(path, error.start) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=str(path)) from None
    for index, value in enumerate(values if isinstance(values, list) else [values]):
        where = f"{path}[{index}]"
        yield from _documents(_text_of(value, field, where), where)


def _read_csv(stream: io.BufferedIOBase, path: Path, invalid_utf8: OnInvalid, field: str) -> Iterator[Document]:
    delimiter = "\t" if ".tsv" in path.suffixes else ","
    lines = (line for _, line in _lines(stream, path, invalid_utf8))
    csv.field_size_limit(CSV_FIELD_CHARACTERS)  # of the whole process; a reader has none of its own
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise InputError("a row with another number of fields than the header", where=where)
            yield from _documents(_text_of(row, field, where), where)
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", where=f"{path}:{reader.line_num}") from None


def _read_parquet(file: "_OpenFile", field: str) -> Iterator[Document]:
    import pyarrow
    import pyarrow.parquet

    path = file.path
    source: Any = file.stream if path.suffix == ".parquet" else io.BytesIO(file.stream.read())
    file.share_read = 0.0  # its end is read first
    try:
        table = pyarrow.parquet.ParquetFile(source)
        if field not in table.schema_arrow.names:
            raise _no_field(field, table.schema_arrow.names, str(path))
        number = 0
        for batch in table.iter_batches(batch_size=256, columns=[field]):
            for text in batch.column(0).to_pylist():
                where = f"{path} row {number}"
                number += 1
                file.share_read = number / table.metadata.num_rows
                yield from _documents(_text_of({field: text}, field, where), where)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"not a Parquet file: {error}", where=str(path)) from None


_Reader = Callable[[io.BufferedIOBase, Path, OnInvalid, str], Iterator[Document]]
_READERS: dict[str, _Reader] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
}


def _text_of(value: Any, field: str, where: str) -> str:
    """The text of one element: itself, its field, or the field's list of lines joined."""
    if isinstance(value, dict):
        if field not in value:
            raise _no_field(field, list(value), where)
        value = value[field]
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "\n".join(value)
    if not isinstance(value, str):
        raise InputError(f"{field!r} is {type(value).__name__}", where=where, expected="text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError("half a surrogate pair in the text", where=where, expected="Unicode text") from None
    return normalise(value)


def _no_field(field: str, names: Sequence[str], where: str) -> InputError:
    close = nearest(field, names)
    fix = f"name the text's field with --text-field {close or names[0]}" if names else ""
    return InputError(f"no field {field!r}", where=where, expected=f"one of {', '.join(names)}", fix=fix)


def _documents(text: str, source: str) -> Iterator[Document]:
    for piece, is_last in pieces(text):
        yield Document(piece, source, is_last)
