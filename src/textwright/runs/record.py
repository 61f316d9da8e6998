"""A run as its folder has it: what its report, its model card and a page of several runs are made of."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.checkpoint.model_folder import read_facts
from textwright.core.config import read_toml_values
from textwright.core.errors import InputError
from textwright.core.journal import read_undamaged_rows
from textwright.data.manifest import DataManifest, read_manifest
from textwright.report.html import flat
from textwright.runs.run_folder import Run

Row = Mapping[str, Any]
VAL_LOSS = "val_loss_nats"
NOT_FIGURES = frozenset(("kind", "step", "elapsed_s"))


@dataclass(frozen=True)
class RunRecord:
    """What a run left on the disk."""

    name: str
    command: str
    """Repeats it."""
    config: Mapping[str, Any]
    """What it was asked and decided, nested tables as nested mappings."""
    journal: Sequence[Row]
    samples: Sequence[Row]
    data: DataManifest | None = None
    """Of its text; None where it has none yet."""
    facts: Mapping[str, Any] | None = None
    """What its model's folder says of it; None where it has no model yet."""
    best_step: int | None = None
    """Of the model that it ended with."""
    torn: tuple[str, ...] = ()
    """Where a last line was cut short, and is left out: ``FILE:LINE``."""

    def rows(self, kind: str) -> list[Row]:
        """The journal's rows of a kind."""
        return [row for row in self.journal if row.get("kind") == kind]

    @property
    def environment(self) -> Mapping[str, Any]:
        """Machine and versions, where they were written down."""
        return self._facts("environment")

    @property
    def bits_per_byte(self) -> Mapping[str, float]:
        """Of held-out text, the model's first, those of compressors after it; empty where nobody measured."""
        return self._facts("held_out_bits_per_byte")

    @property
    def completions(self) -> Sequence[Mapping[str, str]]:
        """``prompt`` and ``text`` of each that was kept."""
        found: Sequence[Mapping[str, str]] = (self.facts or {}).get("completions", [])
        return found

    @property
    def settings(self) -> dict[str, object]:
        """The config, in one level."""
        return flat(self.config)

    @property
    def last_train(self) -> Row:
        """The last step's row; nothing before the first."""
        return next((row for row in reversed(self.journal) if row.get("kind") == "train"), {})

    @property
    def best_figures(self) -> dict[str, float]:
        """The numbers of the evaluation that chose the model, or else of the one with the least loss."""
        rows = self.rows("val")
        chosen = [row for row in rows if row.get("step") == self.best_step] if self.best_step is not None else []
        known = chosen or sorted((row for row in rows if row.get(VAL_LOSS) is not None), key=lambda row: row[VAL_LOSS])
        if not known:
            return {}
        return {name: value for name, value in known[0].items() if name not in NOT_FIGURES and is_number(value)}

    def _facts(self, name: str) -> Mapping[str, Any]:
        found = (self.facts or {}).get(name, {})
        return found if isinstance(found, Mapping) else {}


def is_number(value: object) -> bool:
    """Whether a journal's value is one."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_run_record(run: Run) -> RunRecord:
    """What a run's folder holds; also of one that is being trained.

    Raises:
        InputError: its config or its data's manifest do not read, or a line of its journal or samples is damaged.
    """
    fix = "delete that line, and the report is made without it"
    journal, torn_row = read_undamaged_rows(run.journal, fix=fix)
    samples, torn_sample = read_undamaged_rows(run.samples, fix=fix)
    config = read_toml_values(run.config)
    has_data, has_model = (run.data / "manifest.json").is_file(), run.model.is_dir()
    return RunRecord(
        name=run.folder.resolve().name,
        command=_command(run, config),
        config=config,
        journal=journal,
        samples=samples,
        data=_manifest(run.data) if has_data else None,
        facts=read_facts(run.model) if has_model else None,
        best_step=max((int(path.name.partition("-")[2]) for path in run.best.glob("step-*")), default=None),
        torn=tuple(filter(None, (torn_row, torn_sample))),
    )


def _manifest(folder: Path) -> DataManifest | None:
    """Of data in today's form; earlier releases' data tell less than a report shows."""
    try:
        return read_manifest(folder)
    except InputError:
        return None


def _command(run: Run, config: Mapping[str, Any]) -> str:
    if "begun_by" in config and not config.get("data"):
        return "in Python: model.fit(texts, out=NEW_RUN), with the texts it was given and the model in base/"
    if "begun_by" in config:
        return shlex.join(["textwright", "finetune", str(run.base), "--config", str(run.config), "--out", "NEW_RUN"])
    return f"textwright train --config {shlex.quote(str(run.config))} --out NEW_RUN"
