"""``textwright runs``: list, watch, measure and delete runs."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Column, Table

from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.journal import Follower
from textwright.core.progress import duration
from textwright.core.result import Result
from textwright.core.user_paths import given_path
from textwright.runs.display import TrainingDisplay
from textwright.runs.run_folder import Run, RunStatus, find_runs

ROOT = Path("runs")
WATCH_EVERY_S = 0.5


@dataclass(frozen=True)
class Listed(Result):
    """The runs of a folder, with how they stand."""

    folder: Path
    statuses: list[tuple[Run, RunStatus]]

    def as_json(self) -> dict[str, Any]:
        return {"runs": [{"run": str(run.folder)} | vars(status) for run, status in self.statuses]}

    def show(self) -> None:
        out = stdout_console()
        table = Table(
            Column("run", overflow="fold"), "state", "step", "of", "loss", "best validation", "tokens", "time", box=None
        )
        for run, status in self.statuses:
            table.add_row(
                str(run.folder),
                status.state,
                f"{status.step:,}",
                f"{status.num_steps:,}" if status.num_steps else "-",
                f"{status.loss_nats:.4f}" if status.loss_nats is not None else "-",
                f"{status.val_loss_nats:.4f}" if status.val_loss_nats is not None else "-",
                f"{status.tokens:,}",
                duration(status.elapsed_s),
            )
        out.print(table if self.statuses else f"no runs in {self.folder}")


def list_runs(folder: Path = ROOT, /) -> Listed:
    """List the runs in a folder, with how they stand.

    Parameters
    ----------
    folder
        A folder of runs, or one run.
    """
    return Listed(folder, [(run, run.status()) for run in _found(folder)])


def watch(run: Path, /) -> None:
    """Watch a run that trains in another terminal, until it ends or Ctrl-C; the run is not touched.

    Parameters
    ----------
    run
        The run folder.
    """
    opened = Run.open(run)
    while _watch_until_cut_back(opened):
        pass


def _watch_until_cut_back(run: Run) -> bool:
    """Show the journal as it grows. False when the run ended; True when it goes on from an earlier step."""
    with Follower(run.journal) as journal, TrainingDisplay(str(run.folder)) as display:
        while True:
            is_running = run.is_running()
            for row in journal.read():
                display.show(row)
            if not is_running:
                return False
            if journal.was_cut_back():
                return True
            time.sleep(WATCH_EVERY_S)


@dataclass(frozen=True)
class Measured(Result):
    """Bytes on disk, by run and part."""

    folder: Path
    usage: dict[str, dict[str, int]]

    def as_json(self) -> dict[str, Any]:
        return {"runs": self.usage}

    def show(self) -> None:
        out = stdout_console()
        table = Table(Column("run", overflow="fold"), "part", "megabytes", box=None)
        for name, parts in self.usage.items():
            for part, size in parts.items():
                table.add_row(name, part, f"{size / 1e6:,.2f}")
            table.add_row(name, "all", f"{sum(parts.values()) / 1e6:,.2f}", style="bold")
        out.print(table if self.usage else f"no runs in {self.folder}")


def disk(folder: Path = ROOT, /) -> Measured:
    """Show what runs take on disk, by part.

    Parameters
    ----------
    folder
        A folder of runs, or one run.
    """
    return Measured(folder, {str(run.folder): run.disk_bytes() for run in _found(folder)})


def delete(runs: Annotated[tuple[Path, ...], Parameter(show_default=False)] = (), /, *, yes: bool = False) -> None:
    """Delete runs, with everything in them.

    Parameters
    ----------
    runs
        Run folders.
    yes
        Do not ask.
    """
    if not runs:
        raise InputError("no run", expected="one or more run folders")
    opened = [Run.open(run) for run in runs]
    screen = stderr_console()
    for run in opened:
        size = sum(run.disk_bytes().values())
        if not yes:
            try:
                answer = screen.ask(f"delete {run.folder} ({size / 1e6:,.1f} MB)? [y/N] ")
            except EOFError:
                answer = ""
            if answer.strip().lower() not in ("y", "yes"):
                screen.print(f"kept {run.folder}")
                continue
        run.delete()
        screen.print(f"deleted {run.folder}, {size / 1e6:,.1f} MB")


def _found(folder: Path) -> list[Run]:
    with given_path(folder):
        if not folder.is_dir() and (folder != ROOT or folder.exists()):
            raise InputError(f"there is no folder {folder}", fix="check the path")
        return find_runs(folder)
