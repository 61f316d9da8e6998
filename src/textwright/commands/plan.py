"""``textwright plan``: what a run would take."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from textwright.api.config import ModelOptions
from textwright.commands.train import default_folder, run_config
from textwright.core.console import stderr_console, stdout_console
from textwright.core.progress import duration
from textwright.training.config import TrainConfig


def plan(
    *,
    data: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    val_data: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    tokenizer: str | None = None,
    text_field: str | None = None,
    invalid_utf8: Literal["error", "replace"] | None = None,
    model: ModelOptions | None = None,
    training: Annotated[TrainConfig | None, Parameter(name="*")] = None,
    config: Path | None = None,
    device: str = "auto",
    json: bool = False,
) -> None:
    """See what a run would take: tokens, epochs, memory, disk and time, from 20 trial steps. Nothing is kept.

    Parameters
    ----------
    data
        Files and folders of text, as for textwright train.
    val_data
        Files and folders to validate on.
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
    config
        A TOML file with the same names; the command line wins over it.
    device
        auto, cpu or cuda.
    json
        Print one JSON object on standard output; progress stays on standard error.
    """
    chosen = run_config(config, data, val_data, text_field, tokenizer, invalid_utf8, model, training)
    with stderr_console().announced("loading torch ..."):
        from textwright.api.runs import plan as plan_run
        from textwright.training.plan import describe_plan

    found = plan_run(chosen, out=default_folder(chosen), device=device)
    if json:
        stdout_console().write_json(found.as_json())
        return
    assert found.seconds is not None
    stdout_console().print(describe_plan(found))
    stdout_console().print(f"time: about {duration(found.seconds)} from the first step to the end")
    stderr_console().print("next:  the same with textwright train")
