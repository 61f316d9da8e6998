"""``train --tasks`` and ``plan --tasks``: from the command line and from a TOML file."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line
from textwright.core.journal import read_rows

QUICK = ("--tokenizer", "byte", "--model.preset", "nano", "--model.context-length", 64, "--batch-size", 2, "--steps", 2)
ROWS = "a funny and moving film\tgood\nas dull as it gets\tbad\nthe best of the year\tgood\n"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.tsv"
    path.write_text(ROWS)
    return path


def test_figures_come_into_the_journal_and_are_shown_when_it_is_watched(
    textwright: Run, text_file: Path, reviews: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    tasks = ("--tasks", f"classification={reviews}", "--best-by", "classification.accuracy", "--task-examples", 2)
    done = textwright("train", "--data", text_file, *QUICK, *tasks, "--out", run, "--json")
    assert done.code == 0, done.err
    assert "task classification: 2 examples" in done.err
    metrics = done.json["metrics"]
    assert metrics["classification.accuracy"] in (0, 0.5, 1)
    assert metrics["val_loss_nats"] == done.json["val_loss_nats"]
    rows = [row for row in read_rows(run / "journal.jsonl") if row["kind"] == "val"]
    assert all(row["classification.accuracy"] in (0, 0.5, 1) for row in rows)
    assert "classification.accuracy" in textwright("runs", "watch", run).err
    assert_one_line(textwright("train", "--resume", run, "--task-examples", 3), "another task_examples")
    assert_one_line(textwright("train", "--resume", run, "--tasks", f"email={reviews}"), "--resume with --tasks")


def test_a_plan_counts_them_and_a_file_may_hold_them(
    textwright: Run, text_file: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.toml"
    path.write_text(f'data = ["{text_file}"]\n[tasks]\nclassification = "reviews.tsv"\n')
    done = textwright("plan", "--config", path, *QUICK)
    assert done.code == 0, done.err
    assert "task classification: 3 examples" in done.err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["config.toml", "reviews.tsv"]


@pytest.mark.parametrize("verb", ["train", "plan"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tasks", "reviews.tsv"), "expected NAME=FILE, such as classification=reviews.tsv"),
        (("--tasks", "clasification={reviews}"), "did you mean 'classification'"),
        (("--tasks", "classification=nowhere.tsv"), "nowhere.tsv"),
        (("--tasks", "lambada={reviews}"), "judge the finished model: evaluate MODEL --task lambada"),
        (
            ("--tasks", "classification={reviews}", "--best-by", "classification.acc"),
            "did you mean 'classification.acc",
        ),
        (("--best-by", "classification.accuracy"), "unknown figure 'classification.accuracy'"),
        (("--task-examples", "3"), "a number of task examples without tasks"),
        (("--task", "classification={reviews}"), "--task"),
    ],
)
def test_what_cannot_be_is_one_line(
    textwright: Run,
    text_file: Path,
    reviews: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    options: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [option.format(reviews=reviews) for option in options]
    assert_one_line(textwright(verb, "--data", text_file, *QUICK, *given), said)
    assert [one.name for one in tmp_path.iterdir()] == ["reviews.tsv"]


def test_examples_too_long_for_the_model_are_told_before_the_text_is_prepared(
    textwright: Run, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*_: object, **__: object) -> None:
        raise AssertionError("the text is made into tokens")

    monkeypatch.setattr("textwright.api.runs.prepare_data", prepare)
    long = tmp_path / "long.tsv"
    long.write_text("text\tlabel\n" + "".join(f"{'a cat ' * 400}\t{label}\n" for label in ("good", "bad")))
    done = textwright(
        "train", "--data", text_file, *QUICK, "--tasks", f"classification={long}", "--out", tmp_path / "r"
    )
    assert_one_line(done, "no example of classification that the model can see whole")
    assert not (tmp_path / "r").exists()
