"""A run that ended, as commands show it. Torch-free."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textwright.core.console import stderr_console
from textwright.core.result import Result

if TYPE_CHECKING:
    from textwright.api.run_result import RunResult


@dataclass(frozen=True)
class Trained(Result):
    """A run that ended, or was interrupted."""

    result: "RunResult"

    @property
    def exit_code(self) -> int:
        return self.result.report.exit_code

    def as_json(self) -> dict[str, Any]:
        return self.result.as_json()

    def show(self) -> None:
        notes = stderr_console()
        run, model = self.result.run, self.result.model
        notes.print(self.result.report.summary)
        if self.exit_code:
            notes.show_command("interrupted; go on with:  ", "train", "--resume", run)
            return
        notes.print(f"  run      {run}\n  model    {model}\n  report   {run / 'report.html'}")
        notes.show_command("next:  ", "generate", model, "Once upon a time")
