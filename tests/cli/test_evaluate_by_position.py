"""``evaluate MODEL --text FILE --by-position``: the loss by place in a window, beside the other figures."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line


def test_the_losses_at_positions_stand_beside_the_figures(textwright: Run, finished_run: Path, text_file: Path) -> None:
    model = finished_run / "model"
    plain = textwright("evaluate", model, "--text", text_file, "--json").json
    found = textwright("evaluate", model, "--text", text_file, "--by-position", "--json").json
    rows = found.pop("loss_by_position")
    assert found == pytest.approx(plain)
    assert [(row["from"], row["to"]) for row in rows] == [(0, 0), (1, 1), (2, 3), (4, 7), (8, 15), (16, 31)]
    assert sum(row["num_tokens"] for row in rows) == plain["num_tokens"]
    shown = textwright("evaluate", model, "--text", text_file, "--by-position", "--window", "16")
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["positions", "loss,", "nats", "tokens"] in lines
    assert [line[:3] for line in lines if line[1:2] == ["to"]] == [
        ["2", "to", "3"],
        ["4", "to", "7"],
        ["8", "to", "15"],
    ]


def test_it_is_for_one_model_on_a_text(textwright: Run, finished_run: Path, text_file: Path) -> None:
    model = finished_run / "model"
    expected = "--by-position; expected it with --text and one model only"
    for others in (
        (model, finished_run, "--text", text_file),
        (model, "--task", "lambada", "--data", text_file),
        (model, "--suite", "gpt2", "--bytes", text_file),
    ):
        assert_one_line(textwright("evaluate", *others, "--by-position"), expected)
