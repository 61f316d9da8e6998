"""The journal of a run: one JSON object a line, appended as it happens, readable from another terminal."""

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Self

from textwright.core.errors import InputError
from textwright.core.files import write_atomically


class Journal:
    """Appends rows to a JSON-lines file.

    Every row has ``kind`` (``train``, ``val``, ``sample``, ``event``) and is written whole, so that a reader who
    follows the file sees at most one unfinished line: the last. What a full disk does not take is kept in memory
    and written when there is room again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: OSError | None = None
        """Why the last row could not be written; None when all rows are."""
        self._pending = b""
        self._descriptor = self._open()

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one row and return it. A non-finite number is written as null: JSON has no name for it."""
        row = {"kind": kind} | {key: _finite(value) for key, value in fields.items()}
        self._pending += (json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", errors="replace")
        self._flush()
        return row

    def _flush(self) -> None:
        try:
            while self._pending:
                done = os.write(self._descriptor, self._pending)
                self._pending = self._pending[done:]
            self.failure = None
        except OSError as error:
            self.failure = error

    def sync(self) -> None:
        """Have the rows so far on the disk itself.

        Raises:
            OSError: it does not take them.
        """
        if self.failure is not None:
            raise self.failure
        os.fsync(self._descriptor)

    def cut_after(self, step: int, *, but: str | None = None) -> None:
        """Drop the rows of steps after ``step``, which a resumed run does again; not the events named ``but``."""
        self.close()
        rows = read_rows(self.path)
        kept = [row for row in rows if row.get("step", 0) <= step or (but is not None and row.get("event") == but)]
        write_atomically(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
        self._descriptor = self._open()

    def close(self) -> None:
        """Close the file; the journal takes no more rows."""
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file; a last line that was cut short is left out."""
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        yield from _rows(file)


def read_undamaged_rows(path: Path, *, fix: str) -> tuple[list[dict[str, Any]], str]:
    """All rows of a JSON-lines file, in which each line is one; and where its last line was cut short, as kills do.

    Args:
        path: the file; one that is not there has no rows.
        fix: what to do where a line is damaged.

    Returns:
        The rows, that of line 1 first; and ``FILE:LINE`` of what was cut short and is left out, or nothing.

    Raises:
        InputError: a line with an end is no object of JSON.
    """
    rows = list[dict[str, Any]]()
    if not path.exists():
        return rows, ""
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}:{number}"
            if not line.endswith(b"\n"):
                return rows, where
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"a damaged line: {error}", where=where, expected="a JSON object", fix=fix) from None
            if not isinstance(row, dict):
                raise InputError(f"a line that is a {type(row).__name__}", where=where, expected="an object", fix=fix)
            rows.append(row)
    return rows, ""


class Follower:
    """Reads the rows of a journal that another process writes, each once: what was read is not read again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._unfinished = b""

    def read(self) -> list[dict[str, Any]]:
        """The rows since the last time; an unfinished line waits for its end."""
        if self._file is None:
            if not self.path.exists():
                return []
            self._file = open(self.path, "rb")  # noqa: SIM115 - __exit__ closes it
        *lines, self._unfinished = (self._unfinished + self._file.read()).split(b"\n")
        return list(_rows(line.decode("utf-8", errors="replace") for line in lines))

    def was_cut_back(self) -> bool:
        """Whether a resumed run dropped rows, so that these are no longer its journal: a new follower reads that."""
        if self._file is None:
            return False
        followed = os.fstat(self._file.fileno())
        with contextlib.suppress(FileNotFoundError):
            found = self.path.stat()
            is_other = (found.st_dev, found.st_ino) != (followed.st_dev, followed.st_ino)
            return is_other or found.st_size < self._file.tell()
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()


def _rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            yield row


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
