"""``textwright task``: which tasks there are, what their examples look like, and pairs to train on."""

import json
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Column, Table
from rich.text import Text

from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.files import atomic_file
from textwright.core.result import Result
from textwright.core.user_paths import check_can_be_written, given_path
from textwright.core.words import counted
from textwright.tasks.base import Example, Task
from textwright.tasks.catalog import TASKS, find_task
from textwright.tasks.references import completions_of

Data = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="", show_default=False)]
NUM_SHOWN, SHOWN_OPTIONS = 3, 12


@dataclass(frozen=True)
class Listed(Result):
    """The tasks of the table."""

    tasks: list[Task]

    def as_json(self) -> dict[str, Any]:
        return {
            "tasks": [
                {"name": task.name, "summary": task.summary, "metrics": list(task.metrics)} for task in self.tasks
            ]
        }

    def show(self) -> None:
        table = Table("task", Column("what is done", overflow="fold"), "metrics", box=None)
        for task in self.tasks:
            table.add_row(task.name, task.summary, ", ".join(task.metrics))
        stdout_console().print(table)
        stderr_console().show_command("see one with:  ", "task", "show", "NAME", "--data", "FILE")


def list_tasks() -> Listed:
    """List the tasks, with the metrics by which each is judged."""
    return Listed([find_task(name) for name in sorted(TASKS)])


@dataclass(frozen=True)
class Shown(Result):
    """The first examples of files."""

    task: Task
    examples: list[Example]

    def as_json(self) -> dict[str, Any]:
        return {
            "task": self.task.name,
            "metrics": list(self.task.metrics),
            "examples": [asdict(example) for example in self.examples],
        }

    def show(self) -> None:
        out = stdout_console()
        for example in self.examples:
            out.print(Text(f"--- {example.id}", style="dim"))
            learned = Text(example.completion, style="bold green")
            # A file has no colours.
            marks = ("", "") if out.is_terminal else ("[[", "]]")
            out.print(Text.assemble(example.prompt, marks[0], learned, marks[1]), soft_wrap=True)
            for name, value in _beside(example).items():
                out.print(Text(f"{name}: {value}", style="dim"), soft_wrap=True)
        stderr_console().print(f"{self.task.name}: {self.task.summary}; what is learned is green, or in [[ ]]")


def _beside(example: Example) -> dict[str, str]:
    """What else there is to see of an example."""
    found = {}
    if len(example.references) > 1:
        found["references"] = " | ".join(example.references)
    if example.options:
        rest = len(example.options) - SHOWN_OPTIONS
        more = f", and {rest:,} more" if rest > 0 else ""
        found["options"] = ", ".join(option.strip() for option in example.options[:SHOWN_OPTIONS]) + more
    return found


def show(task: str, /, *, data: Data = ()) -> Shown:
    """Show the first three examples of files, as a model is given them and learns them.

    Parameters
    ----------
    task
        A task's name, or a TOML file that describes one.
    data
        Files and folders of its examples.
    """
    found = find_task(task)
    examples = list(islice(found.examples(_given(task, data)), NUM_SHOWN))
    if not examples:
        raise _nothing(task, data)
    return Shown(found, examples)


@dataclass(frozen=True)
class PairsFile(Result):
    """A file of pairs."""

    task: str
    out: Path
    num_examples: int
    num_pairs: int

    def as_json(self) -> dict[str, Any]:
        return {"task": self.task, "out": str(self.out), "examples": self.num_examples, "pairs": self.num_pairs}

    def show(self) -> None:
        notes = stderr_console()
        pairs = f"{counted(self.num_pairs, 'pair')} of {counted(self.num_examples, 'example')}"
        notes.print(f"{pairs} written to {self.out}")
        # So that no prompt is torn from its completion.
        notes.show_command("next:  ", "train", "--data", self.out, "--packing", "documents")


def pairs(task: str, /, *, data: Data = (), out: Path) -> PairsFile:
    """Write examples as pairs to train on: JSON lines with a prompt and a completion, one for each reference.

    Pairs of one example, and of examples of one document, name the same document: what is held out of training is
    held out with all of them.

    Parameters
    ----------
    task
        A task's name, or a TOML file that describes one.
    data
        Files and folders of its examples.
    out
        The file to write; it must not be there yet. Train on it: of each pair the completion is learned.
    """
    found, num_examples, num_pairs = find_task(task), 0, 0
    paths = _given(task, data)
    check_can_be_written(out, is_file=True)
    if out.exists():
        raise InputError(f"{out} is there already", fix="choose another path, or delete it first")
    with given_path(out), atomic_file(out) as file:
        for example in found.examples(paths):
            document = example.document or example.id or str(num_examples)
            num_examples += 1
            for completion in completions_of(example):
                row = {"id": example.id, "document": document, "prompt": example.prompt, "completion": completion}
                file.write(f"{json.dumps(row, ensure_ascii=False)}\n".encode())
                num_pairs += 1
        if not num_pairs:
            raise _nothing(task, data)
    return PairsFile(found.name, out, num_examples, num_pairs)


def _given(task: str, data: tuple[Path, ...]) -> tuple[Path, ...]:
    if not data:
        raise InputError(f"task {task} without --data", expected="files of its examples")
    return data


def _nothing(task: str, data: tuple[Path, ...]) -> InputError:
    return InputError(f"no example of {task}", where=", ".join(map(str, data[:3])), expected="at least one")
