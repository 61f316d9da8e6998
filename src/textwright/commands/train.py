"""``textwright train``: a new run from text, or one that goes on."""

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from textwright.api.config import ModelOptions, RunConfig, read_for_new_run
from textwright.core.config import read_config
from textwright.core.console import command_line, stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.progress import duration
from textwright.training.config import RESUMABLE_CHANGES, TrainConfig

WITH_RESUME = frozenset(("resume", "accept_changed_data", "device", "json", "training"))
"""Parameters of ``train`` that a run which goes on takes; of ``training`` those in ``RESUMABLE_CHANGES``."""


def train(
    *,
    data: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    val_data: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    tokenizer: str | None = None,
    text_field: str | None = None,
    invalid_utf8: Literal["error", "replace"] | None = None,
    model: ModelOptions | None = None,
    training: Annotated[TrainConfig | None, Parameter(name="*")] = None,
    out: Path | None = None,
    config: Path | None = None,
    resume: Path | None = None,
    accept_changed_data: bool = False,
    device: str = "auto",
    json: bool = False,
) -> int:
    """Train a model on text.

    Parameters
    ----------
    data
        Files and folders of text: txt, md, py and other text, jsonl, json, csv, parquet, each also .gz or .zst.
    val_data
        Files and folders to validate on. Without it: a tenth of the documents, or the end of a single document.
    tokenizer
        byte, char, bpe:N (trained on the data), or a folder that holds a tokenizer. Default bpe:8192.
    text_field
        The field, column or key that holds the text in jsonl, json, csv and parquet files. Default text.
    invalid_utf8
        error (default): refuse a file with bytes that are not UTF-8. replace: put U+FFFD for them.
    model
        The model to train.
    training
        How to train.
    out
        The run folder to write; runs/NAME by default, after the first data path.
    config
        A TOML file with the same names; the command line wins over it.
    resume
        A run folder to go on with, from its newest whole checkpoint. With --steps N it is trained up to step N.
    accept_changed_data
        With --resume: go on although the text or its token shards changed since the run was begun.
    device
        auto, cpu or cuda.
    json
        Print one JSON object on standard output; progress stays on standard error.
    """
    given = dict(locals())  # before there is anything but the parameters
    screen = stderr_console()
    if resume is not None:
        changes = _changes(given)
        with screen.announced(f"going on with {resume} ..."):
            from textwright.api.runs import resume_until_signal as resume_run

        steps = changes.pop("steps", None)
        result = resume_run(
            resume, steps=steps, changes=changes, accepts_changed_data=accept_changed_data, device=device
        )
    else:
        if accept_changed_data:
            raise InputError("--accept-changed-data without --resume", fix="add --resume RUN, or leave it out")
        chosen = run_config(config, data, val_data, text_field, tokenizer, invalid_utf8, model, training)
        with screen.announced("loading torch ..."):
            from textwright.api.runs import train_until_signal as train_run

        result = train_run(chosen, out or default_folder(chosen), device=device)

    report = result.report
    if json:
        stdout_console().write_json(result.as_json())
        return report.exit_code
    screen.print(
        f"{report.steps:,} steps, {report.tokens:,} tokens in {duration(report.elapsed_s)}, "
        f"{report.tokens_per_s:,.0f} tokens/s, at most {report.peak_memory_bytes / 1e9:.2f} GB of memory"
    )
    if report.exit_code:
        screen.show_command("interrupted; go on with:  ", "train", "--resume", result.run)
        return report.exit_code
    screen.print(f"  run      {result.run}\n  model    {result.model}\n  report   {result.run / 'report.html'}")
    screen.show_command("next:  ", "generate", result.model, "Once upon a time")
    return 0


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    """What may change in a run that goes on; every other parameter of ``train`` is refused."""
    training = given["training"]
    changes = training.model_dump(exclude_unset=True) if training else {}
    refused = [name for name, value in given.items() if name not in WITH_RESUME and value is not None]
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


def default_folder(config: RunConfig) -> Path:
    """``runs/`` and the name of the first data path."""
    name = config.data[0].resolve().name.split(".")[0] if config.data else ""
    return Path("runs") / (name or "text")


def run_config(
    path: Path | None,
    data: tuple[Path, ...] | None,
    val_data: tuple[Path, ...] | None,
    text_field: str | None,
    tokenizer: str | None,
    invalid_utf8: str | None,
    model: ModelOptions | None,
    training: TrainConfig | None,
) -> RunConfig:
    """The file's values with the command line's on top; only what was really given overrides."""
    values: dict[str, Any] = read_for_new_run(path) if path else {}
    given = {
        "data": data,
        "val_data": val_data,
        "text_field": text_field,
        "tokenizer": tokenizer,
        "invalid_utf8": invalid_utf8,
    }
    values |= {key: value for key, value in given.items() if value is not None}
    for name, part in (("model", model), ("training", training)):
        if part is not None:
            inner = values.get(name, {})
            # What is no table in the file is left for the config to refuse.
            values[name] = inner | part.model_dump(exclude_unset=True) if isinstance(inner, dict) else inner
    config = read_config(RunConfig, values, str(path) if path else "the command line")
    if not config.data:
        raise InputError(
            "no --data", expected="files or folders of text", fix=command_line("train", "--data", "FILE_OR_FOLDER")
        )
    return config
