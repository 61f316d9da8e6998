"""``textwright evaluate``: measure a model on a text or a task."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from textwright.api.config import ReadingOptions
from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.progress import bar
from textwright.core.result import Result
from textwright.text.files import find_files
from textwright.text.read import TextFiles, whole_texts
from textwright.text.readers import is_plain


@dataclass(frozen=True)
class Evaluated(Result):
    """The figures by name; a task's under ``metrics``."""

    figures: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return self.figures

    def show(self) -> None:
        out = stdout_console()
        for name, value in self.figures.get("metrics", self.figures).items():
            out.print(f"{name:34} {value:,.4f}" if isinstance(value, float) else f"{name:34} {value:,}")


def evaluate(
    model: str,
    /,
    *,
    text: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    task: str | None = None,
    data: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    reading: Annotated[ReadingOptions | None, Parameter(name="*")] = None,
    window: int | None = None,
    stride: int | None = None,
    device: str = "auto",
) -> Evaluated:
    """Measure a model: how well it predicts a text, or how well it does a task.

    Parameters
    ----------
    model
        A model folder, or a Hugging Face name (with the hub extra).
    text
        Files and folders of text to predict.
    task
        A task instead: lambada (the last word of each passage).
    data
        The task's data: files and folders.
    reading
        How files are read.
    window
        Tokens the model sees at most; its context length by default.
    stride
        Tokens newly predicted in each window; half the window by default.
    """
    paths = _checked_paths(text, task, data, has_window=bool(window or stride))
    files = find_files(paths)
    with stderr_console().announced(f"loading {model} ..."):
        from textwright.api import load
        from textwright.evaluation.catalog import find_task

        measure = find_task(task) if task is not None else None
        loaded = load(model, device=device)
    with bar("evaluating", sum(file.stat().st_size for file in files), unit="bytes") as progress:
        # Bytes of a plain text are counted as they are measured; of tables and packed files, as they lie on the disk.
        are_plain = measure is None and all(map(is_plain, files))
        read = TextFiles(paths, **(reading or ReadingOptions()).reading)
        texts = whole_texts(read.chunks(progress=None if are_plain else progress))
        if measure is not None:
            measured = measure(loaded.network, loaded.tokenizer, texts)
            figures: dict[str, Any] = {"task": task, "metrics": measured.as_json()}
        else:
            counted = progress if are_plain else None
            figures = loaded.evaluate(texts, window=window, stride=stride, progress=counted).as_json()
    stderr_console().print(read.summary)
    return Evaluated(figures)


def _checked_paths(
    text: tuple[Path, ...] | None, task: str | None, data: tuple[Path, ...] | None, *, has_window: bool
) -> tuple[Path, ...]:
    """What is read: a text, or a task's examples."""
    if (text is None) == (task is None):
        raise InputError("neither --text nor --task" if text is None else "--text and --task", expected="one of them")
    if task is not None and has_window:
        raise InputError("--window or --stride with --task", expected="them with --text only")
    if task is None and data is not None:
        raise InputError("--data without --task", fix="name the text with --text, or give a task")
    paths = text if text is not None else data
    if not paths:
        raise InputError(f"--task {task} without --data", expected="files of its examples")
    return paths
