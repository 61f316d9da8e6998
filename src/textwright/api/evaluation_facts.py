"""What is written down of a task's evaluation beside its settings, so that its report can be made from the folder."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textwright.api.model import Model
from textwright.api.run_result import environment
from textwright.api.task_request import TaskRequest
from textwright.tasks.base import Task

NEW_FOLDER = "NEW_FOLDER"
"""What stands in a command that repeats something for where the result goes."""


def facts_of_evaluation(
    model: Model, request: TaskRequest, data: Sequence[tuple[Path, str]], hashes: Mapping[str, str]
) -> dict[str, Any]:
    """Model, task, data, machine and command, as plain values.

    Args:
        model: that is evaluated.
        request: what is asked for.
        data: its paths, and the hash of what is there.
        hashes: of the files that the model was read from, by name.
    """
    files, adapted = model.files, model.adapted
    folder = adapted.base if adapted is not None else files.folder if files is not None else None
    return {
        "model": {
            "path": str(folder) if folder is not None else None,
            **({"adapter": str(adapted.adapter)} if adapted is not None else {}),
            "files": dict(hashes),
            "family": model.network.config.family,
            "parameters": sum(parameter.numel() for parameter in model.network.parameters()),
            "context_length": model.network.context_length,
        },
        "task": {"name": request.task.name, "summary": request.task.summary},
        "data": [{"path": str(path), "sha256": sha256} for path, sha256 in data],
        "limit": request.options.get("limit"),
        "metrics": [*request.metrics],
        "command": _command(folder, adapted.adapter if adapted is not None else None, request),
        "environment": environment(),
    }


def _command(model: Path | None, adapter: Path | None, request: TaskRequest) -> str:
    """The shell command that does the same in another folder; where none can, what to call in Python."""
    task, engine = request.given, request.engine
    if model is None or isinstance(task, Task):
        return "in Python: evaluate_task(model, task, data, out=NEW_FOLDER)"
    words = ["textwright", "evaluate", str(model), "--task", str(task), "--data", *map(str, request.paths)]
    words += [] if adapter is None else ["--adapter", str(adapter)]
    options = {**request.options, **{name: getattr(engine, name) for name in engine.model_fields_set}}
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
