"""The run folder: what a run leaves on disk, and what can be asked of it while it trains or after.

::

    RUN/  config.toml        what was asked for and decided, with its schema version
          journal.jsonl      train, val, sample and event rows
          samples.jsonl      the samples alone
          checkpoints/step-N/
          best/step-N/       the weights of the best evaluation
          data/              the text as token shards
          base/              the model that a run of ``fit`` began with
          adapter/           what its strategy added, where that is LoRA: in PEFT's format
          replay/, watch/    what such a run mixes in, and what it looks at, as token shards
          model/             the finished model
          report.html
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel

from textwright.checkpoint.training_state import checkpoints, damage, read_facts
from textwright.core.config import RESOLVED, SCHEMA_KEY, SCHEMA_VERSION, check_schema_version, read_toml_values, to_toml
from textwright.core.errors import InputError
from textwright.core.files import (
    atomic_folder,
    folder_size,
    is_locked,
    lock_file,
    remove_folder,
    sweep,
    write_atomically,
)
from textwright.core.journal import read_rows
from textwright.core.user_paths import check_can_be_written, given_path

PARTS = (
    *("config.toml", "journal.jsonl", "samples.jsonl", "checkpoints", "best", "model", "base", "data", "replay"),
    *("watch", "adapter", "report.html"),
)
"""Everything a run folder may hold, hidden files such as the lock aside. What holds anything else is not deleted."""


@dataclass(frozen=True)
class RunStatus:
    """How a run stands, read from its files alone."""

    state: Literal["running", "finished", "stopped"]
    """running: a process trains it. stopped: not at its last step; it can be resumed."""
    step: int
    num_steps: int | None
    loss_nats: float | None
    val_loss_nats: float | None
    """The best so far."""
    tokens: int
    elapsed_s: float


@dataclass(frozen=True)
class Run:
    """A run folder by its path."""

    folder: Path

    @classmethod
    def create(
        cls,
        folder: Path,
        config: BaseModel,
        *,
        resolved: Mapping[str, Any] | None = None,
        fill: Callable[[Self], None] | None = None,
    ) -> Self:
        """A new run with its config written.

        Args:
            folder: where.
            config: as for ``write_config``.
            resolved: as for ``write_config``.
            fill: writes what else the run begins with; it appears when that is done, or not at all.

        Raises:
            InputError: something is there already.
        """
        cls.check_is_free(folder)
        with atomic_folder(folder) as new:
            run = cls(new)
            run.write_config(config, resolved)
            run.journal.touch()
            if fill is not None:
                fill(run)
        return cls(folder)

    @staticmethod
    def check_is_free(folder: Path) -> None:
        """See that a run can be made there.

        Raises:
            InputError: something is there already, or it cannot be written.
        """
        check_can_be_written(folder)
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            fix = f"resume it with --resume {folder}, or choose another --out"
            if not is_run(folder):
                fix = "choose another --out"
            raise InputError(f"{folder} is there already", fix=fix)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The run in a folder.

        Raises:
            InputError: there is none.
        """
        with given_path(folder):
            if not folder.is_dir():
                raise InputError(f"there is no folder {folder}", expected="a run folder")
        if not is_run(folder):
            raise InputError(f"{folder} is not a run", expected="a folder with config.toml and journal.jsonl")
        for part in PARTS:
            if (folder / part).is_symlink():
                raise InputError(f"{folder / part} is a link", expected="a run whose parts are all in its folder")
        return cls(folder)

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def samples(self) -> Path:
        return self.folder / "samples.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        return self.folder / "best"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def replay(self) -> Path:
        return self.folder / "replay"

    @property
    def watch(self) -> Path:
        return self.folder / "watch"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    def write_config(self, config: BaseModel, resolved: Mapping[str, Any] | None = None) -> None:
        """Write config.toml, whole or not at all.

        Args:
            config: what was asked for, and what was decided of it.
            resolved: what else followed from it, which a resumed run takes instead of finding it anew: a later release
                might find something else.
        """
        values = {SCHEMA_KEY: SCHEMA_VERSION} | config.model_dump(mode="json")
        write_atomically(self.config, to_toml(values | ({RESOLVED: resolved} if resolved else {})))

    def read_config(self) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The plain values of ``write_config``'s config, and of what it was given as resolved.

        Raises:
            InputError: config.toml does not read, or is of another schema version.
        """
        values = read_toml_values(self.config)
        check_schema_version(values, f"the run {self.folder}")
        del values[SCHEMA_KEY]
        resolved: dict[str, Any] | None = values.pop(RESOLVED, None)
        return values, resolved

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process.

        Raises:
            InputError: another process trains it.
        """
        with lock_file(self.folder / ".lock", f"the run {self.folder}"):
            yield

    @contextlib.contextmanager
    def locked_and_new(self) -> Iterator[None]:
        """Hold a run that was just created. What a mistake of the user's ends before its first step is deleted."""
        try:
            with self.locked():
                yield
        except InputError:
            if not self.has_begun():
                self.delete()  # what could not be trained leaves no run to stumble over
            raise

    def sweep(self) -> None:
        """Delete what killed processes left half-written. Only while the run is locked."""
        for folder in (self.folder, self.checkpoints, self.best, self.model):
            sweep(folder)

    def newest_checkpoint(self) -> tuple[Path | None, list[str]]:
        """The newest checkpoint that is whole, with the best model it knows; and why newer ones are passed over."""
        passed_over: list[str] = []
        for path in checkpoints(self.checkpoints):
            found = damage(path) or self._damage_of_best(path)
            if found is None:
                return path, passed_over
            passed_over.append(found)
        return None, passed_over

    def _damage_of_best(self, checkpoint: Path) -> str | None:
        best_step = read_facts(checkpoint)["progress"]["best_step"]
        return None if best_step is None else damage(self.best / f"step-{best_step}")

    def check_space(self, weights_bytes: int, keep_checkpoints: int) -> None:
        """See that the disk has room for a run whose weights take so much.

        Raises:
            InputError: it has not.
        """
        # A checkpoint is at most three times the weights; one more is written before one is deleted. With them go
        # the best model, its successor, and the finished model.
        needed = weights_bytes * (3 * (keep_checkpoints + 1) + 3)
        held = self.disk_bytes()
        free = shutil.disk_usage(self.folder).free + sum(held.get(part, 0) for part in ("checkpoints", "best", "model"))
        if free < needed:
            raise InputError(
                f"{free / 1e6:,.0f} MB of disk for the run {self.folder}",
                expected=f"at least {needed / 1e6:,.0f} MB",
                fix="make room, keep fewer checkpoints with --keep-checkpoints, or choose another --out",
            )

    def is_running(self) -> bool:
        """Whether a process trains it now."""
        return is_locked(self.folder / ".lock")

    def has_begun(self) -> bool:
        """Whether a step was done."""
        return any(row["kind"] == "train" for row in read_rows(self.journal))

    def status(self) -> RunStatus:
        """How the run stands; also while another process writes it."""
        last: dict[str, dict[str, Any]] = {}
        losses, ended, num_steps = [], None, None
        for row in read_rows(self.journal):
            last[row["kind"]] = row
            if row["kind"] == "val" and row.get("val_loss_nats") is not None:
                losses.append(row["val_loss_nats"])
            if row["kind"] == "event":
                num_steps = row.get("num_steps", num_steps)
                ended = row["event"] if row.get("event") in ("started", "finished") else ended
        train = last.get("train", {})
        over: Literal["finished", "stopped"] = "finished" if ended == "finished" else "stopped"
        return RunStatus(
            state="running" if self.is_running() else over,
            step=train.get("step", 0),
            num_steps=num_steps,
            loss_nats=train.get("loss_nats"),
            val_loss_nats=min(losses, default=None),
            tokens=train.get("tokens", 0),
            elapsed_s=max((row.get("elapsed_s", 0.0) for row in last.values()), default=0.0),
        )

    def disk_bytes(self) -> dict[str, int]:
        """Bytes on disk by part of the run, in the order of the tree; only the parts that are there."""
        parts = {name: self.folder / name for name in PARTS}
        return {
            name: folder_size(path) if path.is_dir() else path.stat().st_size
            for name, path in parts.items()
            if path.exists()
        }

    def delete(self) -> None:
        """Delete the run and everything in it.

        Raises:
            InputError: it is a link, a process trains it, or it holds something that no run writes.
        """
        if self.folder.is_symlink():
            raise InputError(f"{self.folder} is a link", expected="a run folder itself", fix="delete what it points to")
        if not is_run(self.folder):
            raise InputError(f"{self.folder} is not a run", expected="a folder with config.toml and journal.jsonl")
        foreign = sorted(p.name for p in self.folder.iterdir() if p.name not in PARTS and not p.name.startswith("."))
        if foreign:
            raise InputError(
                f"{self.folder} holds what no run writes: {', '.join(foreign)}", fix="move that away first"
            )
        with self.locked():
            remove_folder(self.folder)


def is_run(folder: Path) -> bool:
    """Whether the folder is a run: it has a config and a journal."""
    return (folder / "config.toml").is_file() and (folder / "journal.jsonl").is_file()


def find_runs(root: Path) -> list[Run]:
    """The runs at or directly below a folder, by name."""
    if is_run(root):
        return [Run(root)]
    if not root.is_dir():
        return []
    return [Run(folder) for folder in sorted(root.iterdir()) if not folder.name.startswith(".") and is_run(folder)]
