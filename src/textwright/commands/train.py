"""``textwright train``: a new run from text, or one that goes on."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from textwright.api.config import RunConfig, default_folder, merge_run_config
from textwright.api.trained import Trained
from textwright.core.console import stderr_console
from textwright.core.errors import InputError
from textwright.training.config import RESUMABLE_CHANGES


def train(
    *,
    run: Annotated[RunConfig | None, Parameter(name="*")] = None,
    out: Path | None = None,
    config: Path | None = None,
    resume: Path | None = None,
    accept_changed_data: bool = False,
    device: str = "auto",
) -> Trained:
    """Train a model on text.

    Parameters
    ----------
    run
        What to train on what, and how.
    out
        The run folder to write; runs/NAME by default, after the first data path. transformers reads its model/ as it
        is; CTranslate2 4.8 leaves a GPT-2's layer_norm_epsilon and attention scales out (presets have the usual ones).
    config
        A TOML file such as the config.toml of a run; the command line wins over it.
    resume
        A run folder to go on with, from its newest whole checkpoint. With --steps N it is trained up to step N.
    accept_changed_data
        With --resume: go on although the text or its token shards changed since the run was begun.
    """
    screen = stderr_console()
    if resume is not None:
        changes = _changes(run, {"out": out, "config": config})
        with screen.announced(f"going on with {resume} ..."):
            from textwright.api.runs import resume_until_signal

        return Trained(
            resume_until_signal(resume, changes=changes, accepts_changed_data=accept_changed_data, device=device)
        )
    if accept_changed_data:
        raise InputError("--accept-changed-data without --resume", fix="add --resume RUN, or leave it out")
    chosen = merge_run_config(config, run)
    with screen.announced("loading torch ..."):
        from textwright.api.runs import train_until_signal

    return Trained(train_until_signal(chosen, out or default_folder(chosen), device=device))


def _changes(run: RunConfig | None, others: dict[str, Path | None]) -> dict[str, Any]:
    """What may change in a run that goes on; whatever else was given is refused."""
    given = run.model_dump(exclude_unset=True) if run is not None else {}
    changes: dict[str, Any] = given.pop("training", {})
    refused = [*given, *(name for name, value in others.items() if value is not None)]
    extra = [_option(name) for name in [*refused, *sorted(changes.keys() - RESUMABLE_CHANGES)]]
    if extra:
        raise InputError(
            f"--resume with {', '.join(extra)}",
            expected=f"with --resume only {', '.join(map(_option, sorted(RESUMABLE_CHANGES)))}",
            fix="a run goes on as it was begun; start a new one to change it",
        )
    return changes


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
