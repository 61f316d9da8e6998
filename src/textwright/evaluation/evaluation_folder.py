"""The folder of an evaluation: what was asked, and the predictions as they come, so that one that was killed goes on.

::

    evaluations/MODEL-TASK/
        evaluation.json      the model, the task, the data and the settings, by their contents' hashes
        predictions.jsonl    a row an example, as it is done; a last line that was cut short is done again
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from textwright.core.errors import InputError
from textwright.core.files import lock_file, write_atomically
from textwright.core.user_paths import check_can_be_written, given_path, read_text

SETTINGS, PREDICTIONS = "evaluation.json", "predictions.jsonl"


class Predictions:
    """The predictions of one evaluation, on the disk.

    Args:
        folder: new, or of the same evaluation.
        settings: plain values that the predictions depend on.

    Raises:
        InputError: the folder holds another evaluation, or something else.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder, self.path = folder, folder / PREDICTIONS
        # As they are read back: a tuple is a list then.
        self._settings = json.loads(json.dumps(settings))
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
            write_atomically(self.folder / SETTINGS, json.dumps(self._settings, indent=1, ensure_ascii=False) + "\n")
            self._cut_torn_line()
            with open(self.path, "a", encoding="utf-8") as file:
                yield PredictionsWriter(file)

    def rows(self) -> list[dict[str, Any]]:
        """All rows, in the order of their examples."""
        return sorted(self._whole_rows(), key=lambda row: int(row["place"]))

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
        other = [name for name in {**before, **self._settings} if before.get(name) != self._settings.get(name)]
        if other:
            raise InputError(
                f"{self.folder} holds an evaluation with another {' and another '.join(sorted(other))}",
                fix="give another --out, or delete the folder",
            )

    def _read_done(self) -> set[int]:
        return {int(row["place"]) for row in self._whole_rows()}

    def _whole_rows(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        with open(self.path, encoding="utf-8", newline="\n") as file:
            for line in file:
                if line.endswith("\n"):
                    yield json.loads(line)

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
