"""Old text beside what is new: replayed so that it is not forgotten, or only watched; and what is held out."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textwright as tw
from tests.api.test_runs_stay_resumable import interrupt_at, new_model, same
from textwright.api.config import fine_tune_options
from textwright.api.fit_data import hold_out, named, read_fit_data
from textwright.api.taught import Taught
from textwright.core.errors import InputError
from textwright.core.journal import read_rows
from textwright.data.examples import Example
from textwright.text.document import Document

NEW = ["The new text is about a bird.", "It sang in the tree all day.", "Then it flew away."] * 4
HOW: dict[str, Any] = {"steps": 6, "batch_size": 4, "sequence_length": 16, "precision": "float32", "compile": False}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.txt"
    path.write_text("The cat sat on the mat. The dog sat on the log.\n" * 20)
    return path


def rows(run: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in read_rows(run / "journal.jsonl") if row["kind"] == kind]


def test_replayed_text_has_its_share_of_the_rows(old: Path) -> None:
    model = new_model()
    options = fine_tune_options(HOW | {"replay": [f"{old}:0.25"]}, "a test")
    data = read_fit_data(NEW, None, Taught(model.network, model.tokenizer), options)
    batches = data.batches(options.training, 32)
    tasks: Counter[str] = Counter()
    for step in range(5):
        batch = batches.batch(step)
        assert batch.task_ids is not None
        tasks.update(batch.tasks[task] for task in batch.task_ids.tolist())
    assert tasks == {"new": 15, "old": 5}


def test_what_is_replayed_and_watched_is_not_held_in_memory(old: Path, tmp_path: Path) -> None:
    model, scratch = new_model(), tmp_path / "scratch"
    scratch.mkdir()
    options = fine_tune_options(HOW | {"replay": [f"{old}:0.25"], "watch": [old]}, "a test")
    taught = Taught(model.network, model.tokenizer)
    held, on_disk = (read_fit_data(NEW, None, taught, options, scratch=folder) for folder in (None, scratch))
    for data in (held, on_disk):
        (tokens, _), watched = data.replay["old"], data.watch["old"]
        assert [isinstance(part, np.memmap) for part in (*tokens._parts, *watched._parts)] == [data is on_disk] * 2
    assert on_disk.replay["old"][0].fingerprint == held.replay["old"][0].fingerprint
    assert list(scratch.iterdir()) == []  # nothing that a killed process could leave


def test_the_journal_has_the_loss_of_what_is_new_replayed_and_watched(old: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    other = tmp_path / "other" / "old.txt"
    other.parent.mkdir()
    other.write_text("A text nobody learns.\n" * 5)
    new_model().fit(NEW, out=run, replay=[f"{old}:0.25"], watch=[old, other], quiet=True, **HOW)
    assert all({"loss_nats/new", "loss_nats/old"} <= row.keys() for row in rows(run, "train"))
    watched = [row for row in rows(run, "val") if {"val_loss_nats/old", "val_loss_nats/old-2"} <= row.keys()]
    assert [row["step"] for row in watched] == list(range(7))  # of the model that is not taught yet, too
    assert all(row["val_loss_nats/old"] > 0 for row in watched)
    assert {check.path.parent.name for check in tw.verify(run)} >= {"replay", "watch"}
    assert all(check.damage is None for check in tw.verify(run))


def test_what_is_watched_changes_no_weight_and_chooses_no_model(old: Path, tmp_path: Path) -> None:
    for name, more in (("with", {"watch": [old]}), ("without", {})):
        report = new_model().fit(NEW, out=tmp_path / name, quiet=True, **HOW, **more)
        assert report.best_step is None
    assert same(tmp_path / "with", tmp_path / "without")


def test_a_run_that_replays_goes_on_bit_for_bit(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = HOW | {"replay": [f"{old}:0.25"], "watch": [old], "val_fraction": 0.2}
    new_model().fit(NEW, out=tmp_path / "whole", quiet=True, **how)
    with monkeypatch.context() as patched:
        interrupt_at(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            new_model().fit(NEW, out=tmp_path / "run", quiet=True, **how)
    old.write_text("changed since")  # the run holds what it reads
    tw.resume(tmp_path / "run", quiet=True)
    assert same(tmp_path / "whole", tmp_path / "run")
    steps = [[row["step"] for row in rows(tmp_path / run, "val")] for run in ("whole", "run")]
    assert steps[0] == steps[1] == list(range(7))  # also where it went on from the beginning
    (shard,) = (tmp_path / "run" / "replay" / "old").glob("train-*.bin")
    shard.write_bytes(b"\0" * shard.stat().st_size)
    with pytest.raises(InputError, match="has other content than was written"):
        tw.resume(tmp_path / "run", steps=8, quiet=True)


def test_of_pairs_with_one_prompt_all_are_on_one_side() -> None:
    def example(prompt: str, text: str, group: str | None = None) -> Example:
        return Example(text, Document("here", "0", group=group), prompt)

    some = [example(f"prompt {number % 50}", f"{number}") for number in range(500)]
    learned, held = hold_out(some, 0.2)
    assert 50 <= len(held) <= 150
    assert not {one.prompt for one in learned} & {one.prompt for one in held}
    assert hold_out(some, 0.2) == (learned, held)
    grouped = [example(f"{number}", "a", group="all") for number in range(20)]
    assert hold_out(grouped, 0.9) == (grouped, [])  # nothing would be left to learn


def test_an_epoch_reads_every_row_of_what_is_new_once(old: Path, tmp_path: Path) -> None:
    how = {name: value for name, value in HOW.items() if name != "steps"} | {"epochs": 2}
    plain = new_model().fit(NEW, quiet=True, **how)
    mixed = new_model().fit(NEW, quiet=True, replay=[f"{old}:0.5"], **how)
    assert mixed.steps == pytest.approx(2 * plain.steps, abs=1)


def test_texts_of_one_name_are_told_apart() -> None:
    paths = [Path("a/novels.txt"), Path("b/novels.txt"), Path("new.txt"), Path("novels")]
    assert list(named(paths)) == ["novels", "novels-2", "new-2", "novels-3"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replay": ["old.txt"]}, r"replay = 'old.txt'|replay = .*expected PATH:SHARE"),
        ({"replay": ["old.txt:1.5"]}, "expected PATH:SHARE"),
        ({"replay": ["none.txt:0.5"]}, "none.txt"),
        ({"replay": ["a:0.5", "b:0.5"]}, "are 1 or more together"),
        ({"watch": ["none.txt"]}, "none.txt"),
        ({"stop_on": "choose.accuracy"}, "stop_on choose.accuracy without a task"),
        ({"val_fraction": 1.0}, "val_fraction = 1.0"),
        ({"steps": 3, "epochs": 2}, "epochs beside steps or minutes"),
        ({"lerning_rate": 0.1}, "unknown argument 'lerning_rate'.*'learning_rate'"),
        ({"data": ["a"]}, "unknown argument 'data'"),
        ({"sequence_length": 1000, "steps": 1}, "sequence_length = 1000.*at most 32"),
    ],
)
def test_what_cannot_be_is_one_line(
    settings: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        new_model().fit(["abc", "abd"], out=tmp_path / "run", quiet=True, **settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_training_stops_on_a_figure_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "choose.toml").write_text(
        'fields = ["text", "label"]\nprompt = "{text} is"\ncompletion = " {label}"\noptions = ["good", "bad"]\n'
        'metrics = ["accuracy"]\n'
    )
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": "a", "label": "good"}) + "\n" for _ in range(4)))
    monkeypatch.setattr("textwright.evaluation.tracked_tasks.TrackedTasks.values", lambda *_: {"choose.accuracy": 0.5})
    how = HOW | {"steps": 50, "evaluate_every": 1}
    report = new_model().fit(
        NEW,
        tasks={str(tmp_path / "choose.toml"): tmp_path / "rows.jsonl"},
        stop_on="choose.accuracy",
        quiet=True,
        **how,
    )
    assert (report.end_reason, report.steps, report.best_step) == ("patience", 3, 0)
