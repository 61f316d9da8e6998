"""``textwright finetune``: teach a trained model more."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from textwright.api.config import FineTuneOptions, default_folder, merge_fine_tune_options
from textwright.api.planned import Planned
from textwright.api.trained import Trained
from textwright.core.console import stderr_console
from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.text.files import expand, find_files
from textwright.training.strategies import parse_strategy

HELD_OUT = 0.1
"""Of the examples, where no text to validate on was given."""


def finetune(
    model: str,
    *,
    options: Annotated[FineTuneOptions | None, Parameter(name="*")] = None,
    out: Path | None = None,
    config: Path | None = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    plan: Annotated[bool, Parameter(negative="")] = False,
    adapter: Path | None = None,
    device: str = "auto",
) -> Result:
    """Teach a trained model texts, pairs or chats.

    Parameters
    ----------
    model
        The model's folder, one of transformers too, or its name on Hugging Face's hub.
    options
        What is learned, and how.
    out
        The run folder to write; runs/NAME by default, after the first data path. textwright train --resume goes on
        with it.
    config
        A TOML file such as the config.toml of a fine-tuning; the command line wins over it.
    check
        Train nothing: show what would be learned, its formats, lengths and repetitions, and the steps of an epoch.
    plan
        Keep nothing: show what it would take, from trial steps that are undone: steps and epochs, parameters that are
        trained in each stage and what a step of it takes, memory, disk and time.
    """
    how: dict[str, Any] = {"adapter": adapter, "device": device}
    if check and plan:
        raise InputError("--check with --plan", expected="one of them")
    chosen = merge_fine_tune_options(config, options)
    if chosen.val_fraction is None:
        chosen = chosen.model_copy(update={"val_fraction": 0.0 if chosen.val_data else HELD_OUT})
    find_files(chosen.data, but=chosen.val_data)
    for path in (*chosen.val_data, *chosen.watch, *chosen.replayed):
        find_files([path])
    parse_strategy(chosen.strategy)
    with stderr_console().announced("loading torch ..."):
        from textwright.api.fine_tuning import check_data, fine_tune_until_signal, plan_finetune

    if check:
        return check_data(model, chosen)
    folder = out or default_folder(chosen)
    if plan:
        return Planned(plan_finetune(model, chosen, out=folder, **how), "the same without --plan")
    return Trained(fine_tune_until_signal(model, chosen, expand(folder), **how))
