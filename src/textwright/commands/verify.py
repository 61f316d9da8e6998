"""``textwright verify``: is everything of a run as it was written?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.core.console import command_line, stdout_console
from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.runs.verify import CheckResult


@dataclass(frozen=True)
class Verified(Result):
    """Every part of a run, and what is wrong with it."""

    run: Path
    findings: list[CheckResult]

    @property
    def damaged(self) -> list[str]:
        """What is wrong."""
        return [finding.damage for finding in self.findings if finding.damage is not None]

    @property
    def exit_code(self) -> int:
        return 2 if self.damaged else 0

    def as_json(self) -> dict[str, Any]:
        rows = [{"path": str(finding.path), "damage": finding.damage} for finding in self.findings]
        return {"ok": not self.damaged, "checkpoints": rows}

    def show(self) -> None:
        """As said. Raises InputError for the first part that is damaged."""
        out = stdout_console()
        for finding in self.findings:
            out.print(f"{'damaged' if finding.damage else 'whole':8} {finding.path}")
        if self.damaged:
            more = f" (and {len(self.damaged) - 1} more)" if len(self.damaged) > 1 else ""
            fix = f"{command_line('train', '--resume', self.run)} goes on from what is whole"
            raise InputError(f"{self.damaged[0]}{more}", fix=fix)


def verify(run: Path, /) -> Verified:
    """Check every checkpoint, the token shards, the journal and the model of a run. Exit code 2 where one is damaged.

    Parameters
    ----------
    run
        The run folder.
    """
    from textwright.api.runs import verify as verify_run

    return Verified(run, verify_run(run))
