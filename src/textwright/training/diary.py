"""Where the rows of a run go: the journal, the samples, and whoever watches."""

from collections.abc import Callable
from typing import Any, Self

from textwright.core.journal import Journal
from textwright.training.run_folder import Run


class Diary:
    """Writes rows as they happen. Without a run they only go to the watcher."""

    def __init__(self, run: Run | None, on_row: Callable[[dict[str, Any]], None]) -> None:
        self._journal = Journal(run.journal) if run else None
        self._samples = Journal(run.samples) if run else None
        self._on_row = on_row

    def write(self, kind: str, **fields: Any) -> None:
        """One row. ``fields`` begin with ``step`` and ``elapsed_s``."""
        row = {"kind": kind} | fields
        if self._journal is not None and self._samples is not None:
            row = self._journal.write(kind, **fields)
            if kind == "sample":
                self._samples.write(kind, **fields)
        self._on_row(row)

    def cut_after(self, step: int) -> None:
        """Drop the rows of steps that a resumed run is about to do again."""
        for journal in (self._journal, self._samples):
            if journal is not None:
                journal.cut_after(step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for journal in (self._journal, self._samples):
            if journal is not None:
                journal.close()
