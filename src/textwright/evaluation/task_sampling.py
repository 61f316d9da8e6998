"""How the texts of a task are written. Torch-free."""

import json
from collections.abc import Mapping
from typing import Any

from textwright.tasks.base import Task


def sampling_of(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a task's texts are written with: its own, greedy, but for those that are given.

    Args:
        task: says where an answer ends, and what it must be.
        given: fields of ``SamplingConfig``.
    """
    usual: dict[str, Any] = {"temperature": 0.0, "max_new_tokens": task.max_new_tokens, "stop": task.stop}
    if task.regex is not None:
        usual["regex"] = task.regex
    if task.json_schema is not None:
        usual["json_schema"] = json.dumps(task.json_schema)
    return usual | dict(given)
