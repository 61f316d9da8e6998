"""``textwright compare-scores`` says in words which system is better, and refuses what cannot be compared."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line
from textwright.evaluation.metrics.catalog import METRICS

KEYS = {"a", "b", "difference", "low", "high", "p", "p_corrected", "verdict", "examples_needed"}


@pytest.fixture(autouse=True)
def _small_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"accuracy": "Accuracy", "errors": "Errors", "distinct": "Distinct"}
    monkeypatch.setattr(METRICS, "rows", {name: f"tests.evaluation.small_metrics:{one}" for name, one in rows.items()})


def write(path: Path, right: float, *, seed: int = 0, number: int = 300, documents: int = 0, **more: object) -> Path:
    """A system that is right so often."""
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for place in rng.permutation(number).tolist():
            said = "yes" if rng.random() < right else "no"
            row = {"id": str(place), "prediction": said, "references": ["yes"]} | more
            if documents:
                row["document"] = f"d{place % documents}"
            file.write(json.dumps(row) + "\n")
    return path


def test_the_better_system_is_said_to_be_better(textwright: Run, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", 0.5), write(tmp_path / "b.jsonl", 0.8, seed=1)
    done = textwright("compare-scores", a, b, "--metrics", "accuracy,errors", "--json")
    rows = done.json["metrics"]
    assert {name: set(row) for name, row in rows.items()} == dict.fromkeys(("accuracy", "errors", "length"), KEYS)
    found = rows["accuracy"]
    assert found["difference"] == pytest.approx(found["b"] - found["a"])
    assert 0.1 < found["low"] < found["difference"] < found["high"] < 0.5
    assert found["p"] == pytest.approx(1 / 10_001)
    assert found["p_corrected"] == pytest.approx(3 / 10_001)
    assert [rows[name]["verdict"] for name in rows] == ["better", "better", "higher"]
    assert found["examples_needed"] < 300
    shown = textwright("compare-scores", a, b, "--metrics", "accuracy,errors")
    assert "B is better" in shown.out
    assert "B is higher" in shown.out
    assert "300 examples; p by approximate randomisation, 10,000 resamples, corrected for 3 figures (Holm)" in shown.err
    back = textwright("compare-scores", b, a, "--metrics", "accuracy", "--test", "bootstrap", "--json").json["metrics"]
    assert (back["accuracy"]["verdict"], back["accuracy"]["difference"]) == ("worse", -found["difference"])


def test_systems_that_are_alike_are_told_apart_by_more_examples(textwright: Run, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", 0.60), write(tmp_path / "b.jsonl", 0.62, seed=2)
    row = textwright("compare-scores", a, b, "--metrics", "accuracy", "--json").json["metrics"]["accuracy"]
    assert row["verdict"] == "not_distinguishable"
    assert row["low"] < 0 < row["high"]
    assert row["examples_needed"] > 300
    shown = textwright("compare-scores", a, b, "--metrics", "accuracy").out
    assert "not distinguishable at this size; about" in shown


def test_documents_and_seeds_are_minded(textwright: Run, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", 0.6, documents=4), write(tmp_path / "b.jsonl", 0.7, seed=1, documents=4)
    done = textwright("compare-scores", a, b, "--metrics", "accuracy")
    assert "300 examples in 4 documents" in done.err
    for name, right in (("many-a", 0.5), ("many-b", 0.8)):
        (tmp_path / name).mkdir()
        for seed in range(3):
            write(tmp_path / name / f"{seed}.jsonl", right, seed=seed + len(name) * (name == "many-b"))
    arguments = ("compare-scores", tmp_path / "many-a", tmp_path / "many-b", "--metrics", "accuracy")
    assert "Student's t over 3 and 3 seeds" in textwright(*arguments).err
    assert textwright(*arguments, "--json").json["metrics"]["accuracy"]["verdict"] == "better"


def test_a_figure_that_is_no_sum_is_shown_and_not_judged(textwright: Run, tmp_path: Path) -> None:
    """And what predictions hold says which metric fits."""
    a, b = write(tmp_path / "a.jsonl", 0.6, drawn=1), write(tmp_path / "b.jsonl", 0.7, seed=1, drawn=1)
    row = textwright("compare-scores", a, b, "--json").json["metrics"]["distinct"]
    assert row["a"] == row["b"] == pytest.approx(2 / 300)
    assert [row[key] for key in ("low", "high", "p", "p_corrected", "verdict", "examples_needed")] == [None] * 6
    assert "not judged: texts are compared with each other" in textwright("compare-scores", a, b).out


def test_what_cannot_be_compared_is_refused(textwright: Run, tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.jsonl", 0.6), write(tmp_path / "b.jsonl", 0.7, seed=1)
    shorter = write(tmp_path / "shorter.jsonl", 0.7, number=299)
    judged_otherwise = write(tmp_path / "other.jsonl", 0.7, references=["no"])
    without = write(tmp_path / "without.jsonl", 0.7, references=[])
    named = write(tmp_path / "named.jsonl", 0.7)
    named.write_text(named.read_text().replace('"id": "17"', '"id": "seventeen"'))
    ask = ("--metrics", "accuracy")
    assert_one_line(textwright("compare-scores", a, a, *ask), "a.jsonl is on both sides")
    assert_one_line(textwright("compare-scores", a, shorter, *ask), "299 predictions", "shorter.jsonl", "300")
    assert_one_line(textwright("compare-scores", a, named, *ask), "the first '17'", "named.jsonl")
    assert_one_line(textwright("compare-scores", a, judged_otherwise, *ask), "has another references")
    for name, here, there in (("gold_entities", [["Ann", "person"]], []), ("label", "1", "0"), ("tests", "a", "b")):
        one, other = (
            write(tmp_path / "one.jsonl", 0.6, **{name: here}),
            write(tmp_path / "two.jsonl", 0.7, **{name: there}),
        )
        assert_one_line(textwright("compare-scores", one, other, *ask), f"has another {name}", "two.jsonl")
        assert textwright("compare-scores", one, b, *ask).code == 0
    assert_one_line(textwright("compare-scores", without, without.with_name("none"), *ask), "there is no file", "none")
    assert_one_line(textwright("compare-scores", a, b, "--metrics", "acuracy"), "did you mean 'accuracy'?")
    assert_one_line(textwright("compare-scores", a, b), "--metrics: accuracy, distinct, errors")
    assert_one_line(textwright("compare-scores", a, b, *ask, "--num-resamples", 3), "--num-resamples 3", "at least 100")
    assert_one_line(textwright("compare-scores", a, b, *ask, "--test", "t"), "--test")
    again = write(tmp_path / "again.jsonl", 0.7, seed=3, references=[])
    assert_one_line(textwright("compare-scores", without, again, *ask), "example 1 has no reference")
