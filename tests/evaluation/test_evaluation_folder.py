"""Damage to an evaluation's files is named by file and line; only what a kill leaves is passed over."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textwright.core.errors import InputError
from textwright.evaluation.evaluation_folder import (
    OF_A_FIGURE,
    PREDICTIONS,
    SETTINGS,
    NotEndedError,
    Predictions,
    check_may_hold_predictions,
    read_evaluation,
)

ROWS = [
    {"place": place, "id": f"id {place}", "prompt": "p", "references": ["r"], "prediction": "s"} for place in range(4)
]
FIGURE: dict[str, Any] = dict.fromkeys(OF_A_FIGURE, 0.5) | {"n": 4}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An evaluation that has ended."""
    path = tmp_path / "out"
    predictions = Predictions(path, {"task": "toy", "model": "0"}, {"limit": None, "metrics": ["accuracy"]})
    with predictions.opened() as writer:
        for row in ROWS:
            writer.write(row)
    predictions.remember({"figures": {"accuracy": FIGURE}, "examples": {}, "num_skipped": 0})
    return path


def damaged(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


def test_what_is_whole_is_read(folder: Path) -> None:
    found = read_evaluation(folder)
    assert (found.task, found.rows, found.num_not_judged, found.torn) == ("toy", ROWS, 0, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [*rows[:1], rows[1][:20] + "\n", *rows[2:]], r"a damaged line: .*predictions.jsonl:2; .*delete"),
        (lambda rows: [*rows[:1], rows[1][:20], *rows[2:]], r"a damaged line: .*predictions.jsonl:2"),
        (lambda rows: [*rows[:2], "[1]\n", *rows[2:]], r"a line that is a list; in .*predictions.jsonl:3"),
        (lambda rows: [*rows, '{"place": 4}\n'], r"a prediction without 'id'; in .*predictions.jsonl:5"),
        (lambda rows: [rows[0].replace(': 0', ': "0"'), *rows[1:]], r"'place' is '0'; in .*predictions.jsonl:1"),
        (lambda rows: [*rows, rows[1]], r"the example of line 2 once more; in .*predictions.jsonl:5"),
        (lambda rows: [rows[0], *rows[2:]], r"predictions.jsonl holds 3 of 4 predictions that were judged; call eval"),
    ],
)  # fmt: skip
def test_a_line_that_is_damaged_is_named(folder: Path, change: Callable[[list[str]], list[str]], message: str) -> None:
    damaged(folder / PREDICTIONS, change)
    with pytest.raises(InputError, match=message):
        read_evaluation(folder)


def test_one_that_goes_on_finds_the_damage_too(folder: Path) -> None:
    damaged(folder / PREDICTIONS, lambda rows: [rows[0][:9] + "\n", *rows[1:]])
    with pytest.raises(InputError, match=r"predictions.jsonl:1"):
        Predictions(folder, {"task": "toy", "model": "0"})


def test_a_last_line_that_was_cut_short_is_left_out_and_told(folder: Path) -> None:
    damaged(folder / PREDICTIONS, lambda rows: [*rows, '{"place": 4, "id'])
    found = read_evaluation(folder)
    assert (found.rows, found.torn) == (ROWS, f"{folder / PREDICTIONS}:5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:30], r"evaluation.json does not read: .*line \d"),
        (lambda _text: "[]", "evaluation.json names no task"),
        (lambda text: text.replace('"about": {', '"about": 1, "x": {'), "evaluation.json names no task"),
        (lambda text: text.replace('"n": 4,', ""), "figures that are not whole in .*evaluation.json"),
        (lambda text: text.replace('"figures"', '"figure"'), "has no figures"),
    ],
)
def test_settings_that_are_damaged_are_named(folder: Path, change: Callable[[str], str], message: str) -> None:
    path = folder / SETTINGS
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    with pytest.raises(InputError, match=message):
        read_evaluation(folder)


def test_settings_that_are_damaged_are_no_bug_where_it_goes_on(folder: Path) -> None:
    (folder / SETTINGS).write_text("{")
    with pytest.raises(InputError, match=r"evaluation.json does not read: .*line 1"):
        Predictions(folder, {"task": "toy", "model": "0"})


def test_fewer_are_judged_after_a_smaller_limit(folder: Path) -> None:
    settings = json.loads((folder / SETTINGS).read_text())
    settings["about"] |= {"limit": 3, "figures": {"accuracy": FIGURE | {"n": 3}}}
    (folder / SETTINGS).write_text(json.dumps(settings))
    found = read_evaluation(folder)
    assert (found.rows, found.num_not_judged) == (ROWS[:3], 1)


def test_while_predictions_are_made_there_are_no_figures(folder: Path) -> None:
    predictions = Predictions(folder, {"task": "toy", "model": "0"})
    with predictions.opened(), pytest.raises(NotEndedError, match="has not ended"):
        read_evaluation(folder)


def test_a_folder_for_predictions_is_new_empty_or_an_evaluations(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (folder, tmp_path / "new", tmp_path / "empty"):
        check_may_hold_predictions(path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="holds other files"):
        check_may_hold_predictions(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        check_may_hold_predictions(tmp_path / "file")
