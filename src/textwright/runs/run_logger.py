"""Where the rows of a run go: the journal, the samples, and whoever watches."""

from collections.abc import Callable
from typing import Any, Self

from textwright.core.journal import Journal
from textwright.runs.run_folder import Run


class RunLogger:
    """Writes rows as they happen. Without a run they only go to the watcher."""

    def __init__(self, run: Run | None, on_row: Callable[[dict[str, Any]], None]) -> None:
        self._journal = Journal(run.journal) if run else None
        self._samples = Journal(run.samples) if run else None
        self._on_row = on_row

    @property
    def failure(self) -> OSError | None:
        """Why the disk does not take the newest rows; None when it does."""
        return next((journal.failure for journal in self._journals if journal.failure), None)

    def write(self, kind: str, **fields: Any) -> None:
        """One row. ``fields`` begin with ``step`` and ``elapsed_s``."""
        row = {"kind": kind} | fields
        if self._journal is not None and self._samples is not None:
            row = self._journal.write(kind, **fields)
            if kind == "sample":
                self._samples.write(kind, **fields)
        self._on_row(row)

    def sync(self) -> None:
        """Have the rows so far on the disk itself. Raises OSError where it does not take them."""
        for journal in self._journals:
            journal.sync()

    def cut_after(self, step: int, *, but: str | None = None) -> None:
        """Drop the rows of steps that a resumed run is about to do again; but for events of that name."""
        for journal in self._journals:
            journal.cut_after(step, but=but)

    @property
    def _journals(self) -> list[Journal]:
        return [journal for journal in (self._journal, self._samples) if journal is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for journal in self._journals:
            journal.close()
