"""Watching a run: what was read is not read again, and a resumed run is shown from where it goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run as CommandLine
from textwright.commands import runs
from textwright.core import journal as journals
from textwright.core.journal import Journal
from textwright.runs.run_folder import Run
from textwright.training.config import TrainConfig


@pytest.fixture
def between_looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Callable[[], None]]], None]:
    """``between_looks([first, second])``: what happens to a running run while its watcher sleeps; then it ends."""

    def let(acts: list[Callable[[], None]]) -> None:
        waiting = list(acts)
        monkeypatch.setattr(Run, "is_running", lambda _: bool(waiting))
        monkeypatch.setattr(runs.time, "sleep", lambda _: waiting.pop(0)())

    return let


def test_a_watched_journal_is_read_once(
    textwright: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    between_looks: Callable[[list[Callable[[], None]]], None],
) -> None:
    run = Run.create(tmp_path / "run", TrainConfig())
    journal = Journal(run.journal)
    parsed: list[str] = []
    loads = journals.json.loads

    def count(line: str) -> Any:
        parsed.append(line)
        return loads(line)

    monkeypatch.setattr(journals.json, "loads", count)
    journal.write("event", step=0, message="the beginning")
    between_looks([lambda: None, lambda: None, lambda: journal.write("event", step=1, message="the end") and None])
    watched = textwright("runs", "watch", run.folder)
    assert [line for line in watched.err.splitlines() if "the" in line] == ["the beginning", "the end"]
    assert len(parsed) == 2
    journal.close()


def test_a_run_that_goes_on_from_an_earlier_step_is_shown_anew(
    textwright: CommandLine, tmp_path: Path, between_looks: Callable[[list[Callable[[], None]]], None]
) -> None:
    run = Run.create(tmp_path / "run", TrainConfig())
    journal = Journal(run.journal)
    for step in (1, 2, 3):
        journal.write("event", step=step, message=f"step {step}")

    def resume() -> None:
        journal.cut_after(1)
        journal.write("event", step=2, message="step 2 again")

    between_looks([resume, lambda: None])
    lines = _messages(textwright("runs", "watch", run.folder).err)
    assert list(lines) == ["step 1", "step 2", "step 3", "step 1", "step 2 again"]
    journal.close()


def _messages(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.startswith("step"))
