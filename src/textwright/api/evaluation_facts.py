"""What is written down of a task's evaluation beside its settings, so that its report can be made from the folder."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textwright.api.model import Model
from textwright.api.run_result import environment
from textwright.engines.config import EngineConfig
from textwright.tasks.base import Task

NEW_FOLDER = "NEW_FOLDER"
"""What stands in a command that repeats something for where the result goes."""


def facts_of_evaluation(
    model: Model,
    task: str | Path | Task,
    chosen: Task,
    data: Sequence[tuple[Path, str]],
    *,
    metrics: Sequence[str],
    given: Mapping[str, Any],
    engine: EngineConfig,
) -> dict[str, Any]:
    """Model, task, data, machine and command, as plain values.

    Args:
        model: see ``evaluate_task``.
        task: as it was given.
        chosen: what that is.
        data: its paths, and the hash of what is there.
        metrics: that judge, by their names.
        given: what else was given: ``metrics``, ``limit``, ``skip_long``, ``trust_code``, fields of the sampling.
        engine: what computes.
    """
    files = model.files
    return {
        "model": {
            "path": str(files.folder) if files is not None else None,
            "files": {name: found["sha256"] for name, found in files.hashes().items()} if files is not None else {},
            "family": model.network.config.family,
            "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
            "context_length": model.network.context_length,
        },
        "task": {"name": chosen.name, "summary": chosen.summary},
        "data": [{"path": str(path), "sha256": sha256} for path, sha256 in data],
        "limit": given.get("limit"),
        "metrics": list(metrics),
        "command": _command(
            files.folder if files is not None else None, task, [path for path, _ in data], given, engine
        ),
        "environment": environment(),
    }


def _command(
    model: Path | None, task: str | Path | Task, paths: Sequence[Path], given: Mapping[str, Any], engine: EngineConfig
) -> str:
    """The shell command that does the same in another folder; where none can, what to call in Python."""
    if model is None or isinstance(task, Task):
        return "in Python: evaluate_task(model, task, data, out=NEW_FOLDER)"
    words = ["textwright", "evaluate", str(model), "--task", str(task), "--data", *map(str, paths)]
    options = {**given, **{name: getattr(engine, name) for name in engine.model_fields_set}}
    for name, value in options.items():
        words += _option(name, value)
    return shlex.join([*words, "--out", NEW_FOLDER])


def _option(name: str, value: Any) -> Iterator[str]:
    """A value as the command line takes it; nothing where it was not given."""
    option = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return
    if value is True:
        yield option
    elif name == "metrics":
        yield f"{option}={','.join(value)}"
    elif isinstance(value, Mapping):
        yield f"{option}={','.join(f'{key}={one}' for key, one in value.items())}"
    elif isinstance(value, list | tuple):
        yield from (f"{option}={one}" for one in value)
    else:
        yield f"{option}={value}"
