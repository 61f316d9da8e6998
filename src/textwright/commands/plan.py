"""``textwright plan``: what a run would take."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from textwright.api.config import RunConfig, default_folder, merge_run_config
from textwright.api.planned import Planned
from textwright.core.console import stderr_console


def plan(
    *,
    run: Annotated[RunConfig | None, Parameter(name="*")] = None,
    config: Path | None = None,
    device: str = "auto",
) -> Planned:
    """See what a run would take: tokens, epochs, memory, disk and time, from 20 trial steps. Nothing is kept.

    Of a fine-tuning textwright finetune tells it, with --plan.

    Parameters
    ----------
    run
        What to train on what, and how.
    config
        A TOML file such as the config.toml of a run; the command line wins over it.
    """
    chosen = merge_run_config(config, run)
    with stderr_console().announced("loading torch ..."):
        from textwright.api.runs import plan as plan_run

    found = plan_run(chosen, out=default_folder(chosen), device=device)
    return Planned(found, "the same with textwright train")
