"""The folder of an evaluation: what was asked, and the predictions as they come, so that one that was killed goes on.

::

    evaluations/MODEL-TASK/
        evaluation.json      the model, the task, the data and the settings, by their contents' hashes; under "about"
                             what a report needs besides: paths, figures, machine, command
        predictions.jsonl    a row an example, as it is done; a last line that was cut short is done again
        report.html          see ``evaluation.report``
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from textwright.core.errors import InputError
from textwright.core.files import lock_file, write_atomically
from textwright.core.user_paths import check_can_be_written, given_path, read_text

SETTINGS, PREDICTIONS, REPORT = "evaluation.json", "predictions.jsonl", "report.html"
ABOUT = "about"
"""What is known of an evaluation without deciding whether another is the same."""


class Predictions:
    """The predictions of one evaluation, on the disk.

    Args:
        folder: new, or of the same evaluation.
        settings: plain values that the predictions depend on.
        about: plain values that they do not depend on.

    Raises:
        InputError: the folder holds another evaluation, or something else.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> None:
        self.folder, self.path = folder, folder / PREDICTIONS
        self._settings, self._about = _plain(settings), _plain(about or {})
        with given_path(folder):
            self._check()
            check_can_be_written(folder)
            folder.mkdir(parents=True, exist_ok=True)
        self.done = self._read_done()
        """The places of the examples that are done."""

    @contextmanager
    def opened(self) -> Iterator["PredictionsWriter"]:
        """For more rows; nobody else writes meanwhile.

        Raises:
            InputError: another process does, or the disk does not take them.
        """
        with given_path(self.folder), lock_file(self.folder / ".lock", f"the evaluation {self.folder}"):
            self._write_settings()
            self._cut_torn_line()
            with open(self.path, "a", encoding="utf-8") as file:
                yield PredictionsWriter(file)

    def remember(self, about: Mapping[str, Any]) -> None:
        """Add to what is known of the evaluation: what it came to, once all is judged.

        Raises:
            InputError: the disk does not take it.
        """
        self._about |= _plain(about)
        with given_path(self.folder):
            self._write_settings()

    def rows(self) -> list[dict[str, Any]]:
        """All rows, in the order of their examples."""
        return sorted(_whole_rows(self.path), key=lambda row: int(row["place"]))

    def _write_settings(self) -> None:
        values = self._settings | {ABOUT: self._about}
        write_atomically(self.folder / SETTINGS, json.dumps(values, indent=1) + "\n")

    def _check(self) -> None:
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file", expected="a folder for predictions", fix="give another --out")
        if not (self.folder / SETTINGS).is_file():
            if any(self.folder.iterdir()):
                fix = "give a new folder with --out"
                raise InputError(f"{self.folder} holds other files", expected="an empty folder", fix=fix)
            return
        before = json.loads(read_text(self.folder / SETTINGS))
        self._about = before.pop(ABOUT, {}) | self._about
        other = [name for name in {**before, **self._settings} if before.get(name) != self._settings.get(name)]
        if other:
            raise InputError(
                f"{self.folder} holds an evaluation with another {' and another '.join(sorted(other))}",
                fix="give another --out, or delete the folder",
            )

    def _read_done(self) -> set[int]:
        return {int(row["place"]) for row in _whole_rows(self.path)}

    def _cut_torn_line(self) -> None:
        if not self.path.exists():
            return
        with open(self.path, "rb+") as file:
            raw = file.read()
            file.truncate(raw.rfind(b"\n") + 1)


class PredictionsWriter:
    """Appends rows, each whole."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, row: Mapping[str, Any]) -> None:
        """A row more, which is there once this returns."""
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()


@dataclass(frozen=True)
class EvaluationRecord:
    """An evaluation that ended, as its folder has it."""

    folder: Path
    settings: dict[str, Any]
    """What its predictions depend on."""
    about: dict[str, Any]
    """What else is known of it, the figures among it."""
    rows: list[dict[str, Any]]
    """The predictions that were judged, in the order of their examples."""

    @property
    def task(self) -> str:
        """The task's name."""
        return str(self.settings["task"])

    @property
    def figures(self) -> dict[str, dict[str, Any]]:
        """By their names, the one that matters first; see ``figures_of``."""
        found: dict[str, dict[str, Any]] = self.about["figures"]
        return found


def is_evaluation(folder: Path) -> bool:
    """Whether a folder is that of an evaluation."""
    return (folder / SETTINGS).is_file()


def read_evaluation(folder: Path) -> EvaluationRecord:
    """What the folder of an evaluation holds.

    Raises:
        InputError: there is none, it does not read, or it has not ended.
    """
    path = folder / SETTINGS
    with given_path(folder):
        try:
            settings = json.loads(read_text(path))
            about = settings.pop(ABOUT, {})
            rows = sorted(_whole_rows(folder / PREDICTIONS), key=lambda row: int(row["place"]))
            limit = about.get("limit")
            kept = [row for row in rows if limit is None or row["place"] < limit]
            has_ended = "figures" in about and bool(kept)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"{folder} does not read: {error}", expected="the folder of an evaluation") from None
    if not has_ended:
        raise InputError(
            f"{folder} has no figures: its evaluation has not ended, or an earlier release made it",
            fix="call evaluate again with the same arguments: it goes on there",
        )
    return EvaluationRecord(folder, settings, about, kept)


def _whole_rows(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As they are read back: a tuple is a list then, and what is not finite is null."""
    found: dict[str, Any] = json.loads(json.dumps(values), parse_constant=lambda _name: None)
    return found
