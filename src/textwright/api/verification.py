"""Whether everything a run left on disk is still as it was written."""

from dataclasses import dataclass
from pathlib import Path

from textwright.api.config import RunConfig
from textwright.batches.shards import damage_of_data
from textwright.checkpoint.model_folder import damage_of_model
from textwright.checkpoint.training_state import checkpoints, damage
from textwright.core.config import read_toml
from textwright.core.errors import InputError
from textwright.training.run_folder import Run


@dataclass(frozen=True)
class Finding:
    """One part of a run, and what is wrong with it."""

    path: Path
    damage: str | None
    """Names the file; None where every byte is as it was written."""


def verify(folder: Path | str) -> list[Finding]:
    """Check a run: its config, every checkpoint and best model, the token shards, the finished model.

    Reads every byte of them. A part that the run has not come to yet is left out.

    Raises:
        InputError: there is no run.
    """
    run = Run.open(Path(folder))
    found = [Finding(run.config, _damage_of_config(run))]
    found += [Finding(path, damage(path)) for part in (run.checkpoints, run.best) for path in checkpoints(part)]
    if run.data.exists():
        found.append(Finding(run.data, damage_of_data(run.data)))
    if run.model.exists():
        found.append(Finding(run.model, damage_of_model(run.model)))
    return found


def _damage_of_config(run: Run) -> str | None:
    try:
        read_toml(RunConfig, run.config)
    except InputError as error:
        return str(error)
    return None
