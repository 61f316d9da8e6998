"""Whether everything a run left on disk is still as it was written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textwright.checkpoint.model_folder import damage_of_model
from textwright.checkpoint.training_state import checkpoints, damage
from textwright.core.config import SCHEMA_KEY, SCHEMA_VERSION, read_toml_values
from textwright.core.errors import InputError
from textwright.core.journal import read_undamaged_rows
from textwright.data.dataset import find_data_corruption
from textwright.runs.run_folder import Run


@dataclass(frozen=True)
class CheckResult:
    """One part of a run, and what is wrong with it."""

    path: Path
    damage: str | None
    """Names the file; None where every byte is as it was written."""


def verify_run(run: Run, read_config: Callable[[Run], object]) -> list[CheckResult]:
    """Check a run: its config, journal and samples, every checkpoint and best model, the token shards, the models it
    began and ended with.

    Reads every byte of them. A part that the run has not come to yet is left out; so is a last line of the journal that
    was cut short, as a kill does.

    Args:
        run: what is checked.
        read_config: reads its config; raises InputError where that does not fit.
    """
    found = [CheckResult(run.config, _damage_of_config(run, read_config))]
    found += [CheckResult(path, _damage_of_rows(path)) for path in (run.journal, run.samples) if path.exists()]
    found += [CheckResult(path, damage(path)) for part in (run.checkpoints, run.best) for path in checkpoints(part)]
    shards = [run.data, *(folder for part in (run.replay, run.watch) for folder in sorted(part.glob("*")))]
    found += [CheckResult(folder, find_data_corruption(folder)) for folder in shards if folder.exists()]
    for model in (run.base, run.model):
        if model.exists():
            found.append(CheckResult(model, damage_of_model(model)))
    return found


def _damage_of_rows(path: Path) -> str | None:
    try:
        read_undamaged_rows(path, fix="")
    except InputError as error:
        return f"{error.where} is {error.given}"
    return None


def _damage_of_config(run: Run, read_config: Callable[[Run], object]) -> str | None:
    """Of a run of another schema version only that it is TOML: what its keys mean is not known here."""
    try:
        if read_toml_values(run.config).get(SCHEMA_KEY) == SCHEMA_VERSION:
            read_config(run)
    except InputError as error:
        return str(error)
    return None
