"""``textwright plan``: what a run would take."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from textwright.api.config import RunConfig, default_folder, merge_run_config
from textwright.core.console import stderr_console, stdout_console
from textwright.core.progress import duration
from textwright.core.result import Result

if TYPE_CHECKING:
    from textwright.training.plan import Plan


@dataclass(frozen=True)
class Planned(Result):
    """What a run would take."""

    plan: "Plan"

    def as_json(self) -> dict[str, Any]:
        return self.plan.as_json()

    def show(self) -> None:
        out = stdout_console()
        notes = stderr_console()
        from textwright.training.plan import describe_plan

        assert self.plan.seconds is not None
        out.print(describe_plan(self.plan))
        out.print(f"time: about {duration(self.plan.seconds)} from the first step to the end")
        notes.print("next:  the same with textwright train")


def plan(
    *,
    run: Annotated[RunConfig | None, Parameter(name="*")] = None,
    config: Path | None = None,
    device: str = "auto",
) -> Planned:
    """See what a run would take: tokens, epochs, memory, disk and time, from 20 trial steps. Nothing is kept.

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

    return Planned(plan_run(chosen, out=default_folder(chosen), device=device))
