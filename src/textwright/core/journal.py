"""The journal of a run: one JSON object a line, appended as it happens, readable from another terminal."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textwright.core.files import write_atomically


class Journal:
    """Appends rows to a JSON-lines file.

    Every row has ``kind`` (``train``, ``val``, ``sample``, ``event``) and is written whole, so that a reader who
    follows the file sees at most one unfinished line: the last.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one row and return it. A non-finite number is written as null: JSON has no name for it."""
        row = {"kind": kind} | {key: _finite(value) for key, value in fields.items()}
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        return row

    def cut_after(self, step: int) -> None:
        """Drop the rows of steps after ``step``: what a resumed run is about to do again."""
        self._file.close()
        kept = [row for row in read_rows(self.path) if row.get("step", 0) <= step]
        write_atomically(self.path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()

    def close(self) -> None:
        """Close the file; the journal takes no more rows."""
        self._file.close()


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON-lines file; a last line that was cut short is left out."""
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(row, dict):
                yield row


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
