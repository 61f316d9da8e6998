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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import zstandard

from textwright.core.errors import InputError, nearest
from textwright.core.files import sha256_file
from textwright.text.document import PIECE_CHARACTERS, Document, find_boundary, pieces
from textwright.text.normalise import normalise

OnInvalid = Literal["error", "replace"]
READ_BYTES = 1 << 20
ZST_READ_BYTES = 1 << 12  # little, since a few bytes of a hostile file can become very many
TABLE_FORMATS = {".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"}
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
        if path.is_dir():
            found = [file for file in _walk(path) if file.suffix.lower() not in BINARY and _is_regular(file)]
            if not found:
                raise InputError(f"no text in the folder {path}", expected="files such as .txt, .md, .jsonl or .csv")
            files += found
        elif path.exists():
            if not _is_regular(path):
                raise InputError(f"{path} is not a regular file", expected="a file or a folder")
            files.append(path)
        else:
            raise InputError(f"there is no file or folder {path}", fix="check the path")
    return files


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 over the hashes of the files at ``paths``: the same bytes in the same order, the same fingerprint.

    Raises:
        InputError: as ``find_files``.
    """
    return hashlib.sha256(" ".join(map(sha256_file, find_files(paths))).encode()).hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def _is_regular(path: Path) -> bool:
    # A FIFO or a device would be waited on for ever.
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_documents(
    paths: Sequence[Path], *, invalid_utf8: OnInvalid = "error", text_field: str = "text"
) -> Iterator[Document]:
    """The documents of files and folders, in order, long ones in pieces.

    Args:
        paths: files and folders.
        invalid_utf8: ``error`` refuses a file with bytes that are not UTF-8; ``replace`` puts U+FFFD for them.
        text_field: the field, column or key that holds the text, in formats that have such.

    Raises:
        InputError: what cannot be read, with file and place.
    """
    for file in find_files(paths):
        yield from _read_file(file, invalid_utf8, text_field)


def _read_file(path: Path, invalid_utf8: OnInvalid, text_field: str) -> Iterator[Document]:
    inner = path.with_suffix("") if path.suffix in (".gz", ".zst") else path
    read = _READERS.get(inner.suffix.lower(), _read_plain)
    if path.stat().st_size == 0:
        raise InputError(f"the file {path} is empty", fix="leave it out, or give a file with text")
    try:
        with _open(path) as stream:
            yield from read(stream, path, invalid_utf8, text_field)
    except (EOFError, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise InputError(
            f"the file {path} cannot be decompressed: {error}", fix="it may be cut short; get it anew"
        ) from None
    except PermissionError:
        raise InputError(f"the file {path} may not be read", fix="change its permissions") from None


def _open(path: Path) -> io.BufferedIOBase:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".zst":
        return io.BufferedReader(_ZstdFile(open(path, "rb")), READ_BYTES)
    return open(path, "rb")


class _ZstdFile(io.RawIOBase):
    """Zstandard frames one after the other, decompressed as they are read. zstandard's own reader takes a file that
    is cut short for a whole one."""

    def __init__(self, compressed: io.BufferedIOBase) -> None:
        self._compressed = compressed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            raw = self._compressed.read(ZST_READ_BYTES)
            if not raw:
                if not self._frame.eof:
                    raise EOFError("it ends inside a frame")
                return 0
            while raw:
                if self._frame.eof:
                    self._frame = zstandard.ZstdDecompressor().decompressobj()
                self._ready += self._frame.decompress(raw)
                raw = self._frame.unused_data if self._frame.eof else b""
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def close(self) -> None:
        self._compressed.close()
        super().close()


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
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                raise InputError("a row with another number of fields than the header", where=where)
            yield from _documents(_text_of(row, field, where), where)
    except csv.Error as error:
        raise InputError(f"not valid CSV: {error}", where=f"{path}:{reader.line_num}") from None


def _read_parquet(stream: io.BufferedIOBase, path: Path, _: OnInvalid, field: str) -> Iterator[Document]:
    import pyarrow
    import pyarrow.parquet

    source: Any = stream if path.suffix == ".parquet" else io.BytesIO(stream.read())
    try:
        file = pyarrow.parquet.ParquetFile(source)
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"not a Parquet file: {error}", where=str(path)) from None
    if field not in file.schema_arrow.names:
        raise _no_field(field, file.schema_arrow.names, str(path))
    number = 0
    for batch in file.iter_batches(batch_size=256, columns=[field]):
        for text in batch.column(0).to_pylist():
            where = f"{path} row {number}"
            yield from _documents(_text_of({field: text}, field, where), where)
            number += 1


_Reader = Callable[[io.BufferedIOBase, Path, OnInvalid, str], Iterator[Document]]
_READERS: dict[str, _Reader] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
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
