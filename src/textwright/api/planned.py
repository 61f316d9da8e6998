"""What a run would take, as commands show it. Torch-free."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textwright.core.console import stderr_console, stdout_console
from textwright.core.progress import duration
from textwright.core.result import Result

if TYPE_CHECKING:
    from textwright.training.plan import Plan


@dataclass(frozen=True)
class Planned(Result):
    """What a run would take."""

    plan: "Plan"
    next: str
    """What to do next, in words."""

    def as_json(self) -> dict[str, Any]:
        return self.plan.as_json()

    def show(self) -> None:
        out = stdout_console()
        from textwright.training.plan import describe_plan

        assert self.plan.seconds is not None
        out.print(describe_plan(self.plan))
        out.print(f"time: about {duration(self.plan.seconds)} from the first step to the end")
        stderr_console().print(f"next:  {self.next}")
