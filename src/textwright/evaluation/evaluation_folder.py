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
from textwright.core.journal import read_undamaged_rows
from textwright.core.user_paths import check_can_be_written, given_path, read_text

SETTINGS, PREDICTIONS, REPORT = "evaluation.json", "predictions.jsonl", "report.html"
ABOUT = "about"
"""What is known of an evaluation without deciding whether another is the same."""
RESULTS = ("figures", "examples", "num_skipped")
"""Under "about", what the evaluation came to: not there while predictions are made."""
OF_A_FIGURE = (
    *("value", "low", "high", "n", "signature", "why_no_interval", "undefined"),
    *("least", "most", "higher_is_better"),
)
_AGAIN = "evaluate into a new folder"


class NotEndedError(InputError):
    """An evaluation that has no figures yet."""


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
            # Killed now, it has predictions that no figures are of.
            self._about = {name: value for name, value in self._about.items() if name not in RESULTS}
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
        return sorted(_read_rows(self.path)[0], key=lambda row: int(row["place"]))

    def _write_settings(self) -> None:
        values = self._settings | {ABOUT: self._about}
        write_atomically(self.folder / SETTINGS, json.dumps(values, indent=1) + "\n")

    def _check(self) -> None:
        check_may_hold_predictions(self.folder)
        if not is_evaluation(self.folder):
            return
        before, about = _read_settings(self.folder)
        self._about = about | self._about
        other = [name for name in {**before, **self._settings} if before.get(name) != self._settings.get(name)]
        if other:
            raise InputError(
                f"{self.folder} holds an evaluation with another {' and another '.join(sorted(other))}",
                fix="give another --out, or delete the folder",
            )

    def _read_done(self) -> set[int]:
        return {int(row["place"]) for row in _read_rows(self.path)[0]}

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
    num_not_judged: int = 0
    """Further predictions in its file, of a call with a larger limit or none."""
    torn: str = ""
    """Where the file's last line was cut short, and is left out: ``FILE:LINE``."""

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


def check_may_hold_predictions(folder: Path) -> None:
    """See that a folder is new, empty, or that of an evaluation.

    Raises:
        InputError: it is something else, or cannot be made.
    """
    with given_path(folder):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file", expected="a folder for predictions", fix="give another --out")
        if folder.is_dir() and not is_evaluation(folder) and any(folder.iterdir()):
            fix = "give a new folder with --out"
            raise InputError(f"{folder} holds other files", expected="an empty folder", fix=fix)
    check_can_be_written(folder)


def read_evaluation(folder: Path) -> EvaluationRecord:
    """What the folder of an evaluation holds.

    Raises:
        NotEndedError: it has no figures yet.
        InputError: there is none, or it is damaged, by file and line.
    """
    with given_path(folder):
        settings, about = _read_settings(folder)
        rows, torn = _read_rows(folder / PREDICTIONS)
    if "figures" not in about:
        raise NotEndedError(
            f"{folder} has no figures: its evaluation has not ended, or an earlier release made it",
            fix="call evaluate again with the same arguments: it goes on there",
        )
    num_judged = _check_figures(about, folder / SETTINGS)
    limit = about.get("limit")
    kept = [row for row in sorted(rows, key=lambda row: int(row["place"])) if limit is None or row["place"] < limit]
    if len(kept) < num_judged:
        raise InputError(
            f"{folder / PREDICTIONS} holds {len(kept):,} of {num_judged:,} predictions that were judged",
            fix="call evaluate again with the same arguments: it makes the others anew",
        )
    return EvaluationRecord(folder, settings, about, kept, len(rows) - len(kept), torn)


def _read_settings(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an evaluation's predictions depend on, and what else is known of it."""
    path = folder / SETTINGS
    try:
        settings = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} does not read: {error}", expected="the file as it was written", fix=_AGAIN) from None
    about = settings.pop(ABOUT, {}) if isinstance(settings, dict) else None
    if not isinstance(about, dict) or not isinstance(settings.get("task"), str):
        raise InputError(f"{path} names no task", expected="the file as it was written", fix=_AGAIN)
    return settings, about


def _check_figures(about: Mapping[str, Any], path: Path) -> int:
    """See that figures are as they were written. Returns how many examples they are of."""
    figures, metrics = about["figures"], about.get("metrics")
    whole = isinstance(figures, dict) and figures and isinstance(metrics, list)
    if not whole or not all(isinstance(one, dict) and one.keys() >= set(OF_A_FIGURE) for one in figures.values()):
        raise InputError(f"figures that are not whole in {path}", expected="the file as it was written", fix=_AGAIN)
    return max(int(one["n"]) for one in figures.values())


def _read_rows(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The predictions of a file, and where its last line was cut short."""
    fix = "delete that line, and call evaluate again with the same arguments: it makes it anew"
    rows, torn = read_undamaged_rows(path, fix=fix)
    lines = dict[int, int]()
    for number, row in enumerate(rows, start=1):
        wrong = next((name for name, kind in _ROW.items() if not isinstance(row.get(name), kind)), None)
        if wrong is not None:
            what = f"a prediction without {wrong!r}" if wrong not in row else f"{wrong!r} is {row[wrong]!r:.40}"
            raise InputError(what, where=f"{path}:{number}", expected="the line as it was written", fix=fix)
        if (before := lines.setdefault(row["place"], number)) != number:
            what = f"the example of line {before:,} once more"
            raise InputError(what, where=f"{path}:{number}", expected="one line an example", fix=fix)
    return rows, torn


_ROW: Mapping[str, type] = {"place": int, "id": str, "prompt": str, "references": list, "prediction": str}
"""What every prediction has."""


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As they are read back: a tuple is a list then, and what is not finite is null."""
    found: dict[str, Any] = json.loads(json.dumps(values), parse_constant=lambda _name: None)
    return found
