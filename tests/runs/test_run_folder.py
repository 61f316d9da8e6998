from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.core.journal import Journal
from textwright.runs.run_folder import Run, find_runs
from textwright.training.config import TrainConfig


def _run(folder: Path, last_event: str = "finished") -> Run:
    run = Run.create(folder, TrainConfig(steps=20))
    journal = Journal(run.journal)
    journal.write("event", step=0, elapsed_s=0.0, event="started", num_steps=20)
    journal.write("train", step=10, elapsed_s=1.0, loss_nats=2.0, tokens=100)
    journal.write("val", step=10, elapsed_s=2.0, val_loss_nats=1.5)
    journal.write("val", step=10, elapsed_s=3.0, val_loss_nats=1.7)
    journal.write("event", step=10, elapsed_s=3.5, event=last_event)
    journal.close()
    return run


def test_status_says_how_a_run_stands(tmp_path: Path) -> None:
    status = _run(tmp_path / "a").status()
    assert (status.state, status.step, status.num_steps) == ("finished", 10, 20)
    assert (status.loss_nats, status.val_loss_nats, status.tokens, status.elapsed_s) == (2.0, 1.5, 100, 3.5)


def test_status_follows_the_lock(tmp_path: Path) -> None:
    run = _run(tmp_path / "a", "interrupted")
    with run.locked():
        assert run.status().state == "running"
    assert run.status().state == "stopped"


def test_a_folder_with_something_in_it_is_no_place_for_a_run(tmp_path: Path) -> None:
    run = _run(tmp_path / "a")
    with pytest.raises(InputError, match=f"--resume {run.folder}"):
        Run.create(run.folder, TrainConfig())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "letter.txt").write_text("Dear")
    with pytest.raises(InputError, match="choose another --out"):
        Run.create(tmp_path / "b", TrainConfig())


def test_runs_are_found_by_their_files(tmp_path: Path) -> None:
    _run(tmp_path / "b")
    _run(tmp_path / "a")
    (tmp_path / "c").mkdir()
    assert [run.folder.name for run in find_runs(tmp_path)] == ["a", "b"]
    assert find_runs(tmp_path / "a") == [Run(tmp_path / "a")]
    assert find_runs(tmp_path / "missing") == []
    with pytest.raises(InputError, match="is not a run"):
        Run.open(tmp_path / "c")
    with pytest.raises(InputError, match="there is no folder"):
        Run.open(tmp_path / "missing")


def test_disk_use_is_told_by_part(tmp_path: Path) -> None:
    run = _run(tmp_path / "a")
    (run.checkpoints / "step-10").mkdir(parents=True)
    (run.checkpoints / "step-10" / "state.safetensors").write_bytes(bytes(1000))
    sizes = run.disk_bytes()
    assert list(sizes) == ["config.toml", "journal.jsonl", "checkpoints"]
    assert sizes["checkpoints"] == 1000


def test_delete_takes_a_run_and_nothing_else(tmp_path: Path) -> None:
    run = _run(tmp_path / "a")
    (tmp_path / "link").symlink_to(run.folder)
    with pytest.raises(InputError, match="is a link"):
        Run(tmp_path / "link").delete()
    with pytest.raises(InputError, match="is not a run"):
        Run(tmp_path).delete()
    (run.folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis\.tex"):
        run.delete()
    (run.folder / "thesis.tex").unlink()
    with run.locked(), pytest.raises(InputError, match="another process"):
        run.delete()
    assert run.journal.exists()
    run.delete()
    assert not any(path.name != "link" for path in tmp_path.iterdir())
