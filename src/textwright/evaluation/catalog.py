"""The table of tasks a model can be measured on: name -> where its function is."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from textwright.core.errors import unknown_name

TASKS: dict[str, str] = {
    "lambada": "textwright.evaluation.lambada:last_word_accuracy",
}


def find_task(name: str) -> Callable[..., Any]:
    """The function of a task. Raises InputError for a name that is not in the table."""
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    module, _, function = TASKS[name].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
