"""``textwright evaluate``: measure a model on a text or a task."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.progress import bar
from textwright.text.sources import find_files, read_documents

NOT_PLAIN = (".gz", ".zst", ".parquet", ".jsonl", ".json", ".csv")
"""Files whose text has another length than they have."""


def evaluate(
    model: str,
    /,
    *,
    text: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    task: str | None = None,
    data: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    text_field: str = "text",
    invalid_utf8: Literal["error", "replace"] = "error",
    window: int | None = None,
    stride: int | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
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
    text_field
        The field that holds the text in jsonl, json, csv and parquet files.
    invalid_utf8
        error: refuse a file with bytes that are not UTF-8. replace: put U+FFFD for them.
    window
        Tokens the model sees at most; its context length by default.
    stride
        Tokens newly predicted in each window; half the window by default.
    device
        auto, cpu or cuda.
    json
        Print one JSON object on standard output.
    """
    if (text is None) == (task is None):
        raise InputError("neither --text nor --task" if text is None else "--text and --task", expected="one of them")
    if task is not None and (window or stride):
        raise InputError("--window or --stride with --task", expected="them with --text only")
    if task is None and data is not None:
        raise InputError("--data without --task", fix="name the text with --text, or give a task")
    paths = text if text is not None else data
    if not paths:
        raise InputError(f"--task {task} without --data", expected="files of its examples")
    find_files(paths)

    with stderr_console().announced(f"loading {model} ..."):
        from textwright.api import load
        from textwright.evaluation.catalog import find_task

        measure = find_task(task) if task is not None else None
        loaded = load(model, device=device)
    files = find_files(paths)
    with bar("evaluating", sum(file.stat().st_size for file in files), unit="bytes") as progress:
        # Bytes of a plain text are counted as they are measured; of tables and packed files, as they lie on the disk.
        is_plain = measure is None and not any(file.suffix.lower() in NOT_PLAIN for file in files)
        told = None if is_plain else progress
        texts = whole_documents(paths, invalid_utf8=invalid_utf8, text_field=text_field, progress=told)
        if measure is not None:
            measured = measure(loaded.network, loaded.tokenizer, texts)
            figures: dict[str, Any] = {"task": task, "metrics": measured.as_json()}
        else:
            counted = progress if is_plain else None
            figures = loaded.evaluate(texts, window=window, stride=stride, progress=counted).as_json()
    if json:
        stdout_console().write_json(figures)
        return
    screen = stdout_console()
    for name, value in figures.get("metrics", figures).items():
        screen.print(f"{name:34} {value:,.4f}" if isinstance(value, float) else f"{name:34} {value:,}")


def whole_documents(paths: tuple[Path, ...], **reading: Any) -> Iterator[str]:
    """The documents of files, their pieces put together again."""
    pieces: list[str] = []
    for document in read_documents(paths, **reading):
        pieces.append(document.text)
        if document.is_last:
            yield "".join(pieces)
            pieces = []
