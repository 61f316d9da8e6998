"""The tables of what a model can be measured on, tasks and suites: name -> where its function or class is."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from textwright.core.errors import unknown_name

TASKS: dict[str, str] = {
    "lambada": "textwright.evaluation.lambada:last_word_accuracy",
}
SUITES: dict[str, str] = {
    "gpt2": "textwright.evaluation.suite.gpt2:Gpt2Suite",
}


def find_task(name: str) -> Callable[..., Any]:
    """The function of a task. Raises InputError for a name that is not in the table."""
    return _find("task", name, TASKS)


def find_suite(name: str) -> Callable[..., Any]:
    """The class of a suite. Raises InputError for a name that is not in the table."""
    return _find("suite", name, SUITES)


def _find(kind: str, name: str, table: Mapping[str, str]) -> Callable[..., Any]:
    if name not in table:
        raise unknown_name(kind, name, table)
    module, _, attribute = table[name].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), attribute)
    return found
