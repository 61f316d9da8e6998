"""``textwright evaluate A B --text FILE``: models side by side, each as it is alone."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line


@pytest.fixture
def other_model(finished_run: Path, tmp_path: Path) -> Path:
    """The same model in another folder."""
    return Path(shutil.copytree(finished_run / "model", tmp_path / "other"))


def test_models_stand_in_one_table_with_xz_and_a_5_gram(
    textwright: Run, finished_run: Path, other_model: Path, text_file: Path
) -> None:
    model = finished_run / "model"
    alone = textwright("evaluate", model, "--text", text_file, "--json").json
    found = textwright("evaluate", model, other_model, "--text", text_file, "--json").json
    assert list(found["models"]) == [str(model), str(other_model)]
    for figures in found["models"].values():
        assert {key: figures[key] for key in alone} == pytest.approx(alone)
        assert figures["low"] < figures["bits_per_byte"] < figures["high"]
    assert set(found["baselines"]) == {"xz -9e", "5-gram of bytes"}
    assert (found["unit"], found["num_units"]) == ("blocks", 6)
    same = found["pairs"][0]
    assert (same["a"], same["b"], same["verdict"]) == (str(model), str(other_model), "not_distinguishable")
    assert (same["difference"], same["p"], same["examples_needed"]) == (0, 1, None)
    shown = textwright("evaluate", model, other_model, "--text", text_file)
    assert "not distinguishable at this size; about 7 blocks would tell" in shown.out  # 6 can change sides in 64 ways
    assert "xz -9e" in shown.out
    assert "intervals over 6 blocks" in shown.err


def test_a_text_of_one_block_gives_figures_and_no_verdict(
    textwright: Run, finished_run: Path, other_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "short.txt").write_text("The cat sat on the mat.")
    arguments = ("evaluate", finished_run / "model", other_model, "--text", tmp_path / "short.txt")
    pairs = textwright(*arguments, "--json").json["pairs"]
    assert [(pair["low"], pair["p"], pair["verdict"]) for pair in pairs] == [(None, None, None)] * 3
    shown = textwright(*arguments).out
    assert "not judged" in shown
    assert "nan" not in shown


def test_what_cannot_be_measured_together_is_refused(
    textwright: Run, finished_run: Path, other_model: Path, text_file: Path, tmp_path: Path
) -> None:
    model = finished_run / "model"
    (tmp_path / "passages.jsonl").write_text(json.dumps({"text": "the cat sat"}))
    task = ("--task", "lambada", "--data", tmp_path / "passages.jsonl")
    assert_one_line(textwright("evaluate", model, other_model, *task), "2 models with --task", "compare-scores")
    assert_one_line(textwright("evaluate", model, model, "--text", text_file), "is given twice")
    assert_one_line(textwright("evaluate", "--text", text_file), "no model")
    assert_one_line(textwright("evaluate", model, tmp_path / "none", "--text", text_file), "there is no model folder")
