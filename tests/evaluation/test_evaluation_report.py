"""An evaluation's page is made from its folder alone: figures, confusion, examples, data, the command to repeat it."""

import html
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Run, textwright
from textwright.api import load
from textwright.api.model import Model
from textwright.api.task_evaluation import evaluate_task
from textwright.core.errors import InputError
from textwright.evaluation.compared_report import compared_evaluations_parts
from textwright.evaluation.evaluation_folder import PREDICTIONS, REPORT, SETTINGS, EvaluationRecord, read_evaluation
from textwright.evaluation.figures_table import as_plain
from textwright.evaluation.metrics.base import Figure
from textwright.evaluation.predictions import prediction_of
from textwright.evaluation.report import evaluation_parts, write_evaluation_report
from textwright.evaluation.score import find_metrics, judge
from textwright.evaluation.shown_examples import best_and_worst, rank_examples, wanted_probabilities

__all__ = ["textwright"]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
ROWS = "".join(f"{text}\t{label}\n" for text, label in [("fine", "good"), ("dull", "bad"), ("great", "good")] * 2)


@pytest.fixture
def folder(nano: Model, tmp_path: Path) -> Path:
    """A model's folder."""
    nano.save(tmp_path / "nano")
    return tmp_path / "nano"


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.tsv"
    path.write_text(f"text\tlabel\n{ROWS}")
    return path


def record(rows: list[dict[str, Any]], metrics: str, name: str = "one") -> EvaluationRecord:
    """As if an evaluation had come to these predictions."""
    judged = [prediction_of(row, place, "").judged for place, row in enumerate(rows, start=1)]
    found = judge(judged, find_metrics(metrics), num_resamples=100)
    ranking = rank_examples({name: one.figure for name, one in found.figures.items()}, found.of_examples)
    about = {
        "figures": {name: json.loads(json.dumps(as_plain(one)), parse_constant=lambda _: None)
                    for name, one in found.figures.items()},
        "metrics": metrics.split(","),
        "examples": best_and_worst(ranking, [row["place"] for row in rows], 5),
        "data": [{"path": "data.jsonl", "sha256": "0" * 64}],
    }  # fmt: skip
    return EvaluationRecord(Path(name), {"task": "toy", "sampling": {"max_new_tokens": 8}}, about, rows)


def rows_of(said: list[str], wanted: list[str], **more: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"id {place}", "place": place, "prompt": f"prompt {place}", "prediction": one, "references": [two]}
        | more
        for place, (one, two) in enumerate(zip(said, wanted, strict=True))
    ]


def test_evaluate_leaves_a_report_that_its_folder_makes_again(folder: Path, reviews: Path, tmp_path: Path) -> None:
    report = evaluate_task(load(folder), "classification", reviews, out=tmp_path / "out", quiet=True, limit=5)
    page = report.page.read_text(encoding="utf-8")
    for shown in ("accuracy", "f1_macro", "confusion", "The worst examples", "5 examples judged, of the first 5",
                  str(reviews), "nrefs:1", "95 % interval"):  # fmt: skip
        assert shown.lower() in page.lower()
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    again = read_evaluation(tmp_path / "elsewhere")
    assert len(again.rows) == 5
    written = write_evaluation_report(again)
    assert written.read_text(encoding="utf-8") == page.replace(">out<", ">elsewhere<")


def test_the_command_in_the_report_repeats_the_evaluation(
    textwright: Run, folder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ("--metrics", "edit_distance,accuracy", "--limit", 4, "--skip-long", "--temperature", 0.5, "--seed", 3)
    given += ("--stop", "x y", "--stop=-", "--max-new-tokens", 4, "--logit-bias", "65=1.5,66=-1", "--engine", "torch")
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(f'{{"source": "text {number}", "target": "t"}}\n' for number in range(6)))
    asked = ("evaluate", folder, "--task", "summarisation", "--data", pairs, *given, "--out", "first", "--json")
    first = textwright(*asked)
    assert first.code == 0, first.err
    assert set(first.json) == {"task", "metrics", "num_examples", "num_skipped", "num_predictions", "predictions",
                               "report"}  # fmt: skip
    assert Path(first.json["report"]).is_file()
    command = shlex.split(json.loads((tmp_path / "first" / SETTINGS).read_text())["about"]["command"])
    assert command[0] == "textwright"
    assert command[-2:] == ["--out", "NEW_FOLDER"]
    again = textwright(*command[1:-1], "second", "--json")
    assert again.code == 0, again.err
    assert again.json["metrics"] == first.json["metrics"]
    before, after = (json.loads((tmp_path / one / SETTINGS).read_text()) for one in ("first", "second"))
    assert {**before, "about": 0} == {**after, "about": 0}


def test_a_folder_of_an_earlier_release_goes_on_and_gets_a_report(folder: Path, reviews: Path, tmp_path: Path) -> None:
    out, model = tmp_path / "out", load(folder)
    whole = evaluate_task(model, "classification", reviews, out=out, quiet=True)
    settings = json.loads((out / SETTINGS).read_text())
    del settings["about"]
    (out / SETTINGS).write_text(json.dumps(settings))
    (out / REPORT).unlink()
    with pytest.raises(InputError, match="has no figures: .* call evaluate again with the same arguments"):
        read_evaluation(out)
    before = (out / PREDICTIONS).read_bytes()
    again = evaluate_task(model, "classification", reviews, out=out, quiet=True)
    assert (again.figures, (out / PREDICTIONS).read_bytes()) == (whole.figures, before)
    assert len(read_evaluation(out).rows) == 6
    assert (out / REPORT).is_file()


def test_examples_are_sorted_by_the_first_figure_that_tells_them_apart() -> None:
    figures = {"flat": Figure("flat", 0, 1, True), "errors": Figure("errors", 0, 9, False),
               "likes": Figure("likes", 0, 1, True), "length": Figure("length", 0, 9, None)}  # fmt: skip
    of_examples = {
        "length": np.array([1.0, 2, 3, 4, 5]),
        "flat": np.ones(5),
        "errors": np.array([2.0, np.nan, 0, 2, 1]),
        "likes": np.array([0.1, 1, 0.5, 0.2, np.nan]),
    }
    ranking = rank_examples(figures, of_examples)
    assert ranking is not None
    assert (ranking.figure, ranking.ties) == ("errors", ("likes",))
    assert ranking.places.tolist() == [2, 4, 3, 0]  # of the two with 2 errors, the one that is liked more comes first
    shown = best_and_worst(ranking, [10, 11, 12, 13, 14], 5)
    assert [one["place"] for one in shown["best"]] == [12, 14]
    assert [one["place"] for one in shown["worst"]] == [10, 13]
    assert shown["num_known"] == 4
    assert rank_examples(figures, {"flat": np.ones(5)}) is None


def test_of_options_the_surest_mistake_is_the_worst() -> None:
    rows = rows_of(["a", "b", "b"], ["a", "a", "a"])
    for row, share in zip(rows, (0.9, 0.4, 0.01), strict=True):
        row["probabilities"] = {"a": share, "b": 1 - share}
    ((_, (figure, values)),) = wanted_probabilities(rows).items()
    assert (figure.higher_is_better, values.tolist()) == (True, [0.9, 0.4, 0.01])
    assert wanted_probabilities(rows_of(["a"], ["a"])) == {}


def test_many_labels_are_the_most_frequent_ones_and_the_rest_is_said() -> None:
    wanted = [f"label {number}" for number in range(30) for _ in range(31 - number)]
    said = ["label 1" if one == "label 0" else "no label at all" if one == "label 2" else one for one in wanted]
    page = html.unescape("".join(evaluation_parts(record(rows_of(said, wanted), "accuracy,f1"))))
    left = sum(31 - number for number in range(20, 30))
    assert f"The 20 most frequent of 30 labels; {left:,} examples are of the other 10." in page
    assert "label 0 → label 1: 31 of 31" in page
    assert "label 2 → anything else: 29 of 29" in page
    assert "label 25 →" not in page


def test_what_was_cut_is_counted_and_what_has_no_interval_says_why() -> None:
    rows = rows_of(["a b c d"] * 3 + ["e"], ["a b c e"] * 4, num_tokens=5, finish_reason="stop")
    rows[0] |= {"num_tokens": 8, "finish_reason": "length"}
    page = html.unescape("".join(evaluation_parts(record(rows, "accuracy,distinct_n"))))
    assert "1 of 4 was cut at 8 tokens (max_new_tokens)" in page
    assert "5 to 8 tokens, half of them at most 5" in page
    assert "none: what is new in one text depends on all others" in page
    assert "answers cut by max_new_tokens" in page


def test_hostile_text_stays_text_and_ten_thousand_examples_stay_small(tmp_path: Path) -> None:
    rows = rows_of([f"{EVIL} {number % 97}" for number in range(10_000)], ["x"] * 10_000, num_tokens=3)
    for row in rows:
        row["prompt"] = EVIL * 400
        row["references"] = [row["prediction"] if row["place"] % 2 else EVIL, *[EVIL * 20] * 30]
    one = record(rows, "accuracy", name=f"r {EVIL}".replace("/", "|"))
    path = write_evaluation_report(one, tmp_path / "report.html")
    page = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 1_500_000
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"""(?:src|href)\s*=\s*['"]?(?:https?:)?//""", page)


def test_several_are_judged_as_compare_scores_judges_them() -> None:
    rng = np.random.default_rng(0)
    wanted = [f"w{number}" for number in range(200)]
    good, poor = ([one if rng.random() < share else EVIL for one in wanted] for share in (0.9, 0.3))
    records = [record(rows_of(said, wanted), "accuracy,edit_distance") for said in (poor, good)]
    page = "".join(compared_evaluations_parts(records, ["poor", "good"]))
    assert "A: poor; B: good" in page
    assert "B is better" in page
    assert "The examples whose accuracy, each by itself, lies furthest apart" in page
    assert "<script" not in page
    other = record(rows_of(["x"] * 3, ["y"] * 3), "accuracy")
    page = "".join(compared_evaluations_parts([records[0], other], ["a", "b"]))
    assert "They did not judge the same examples, so none" in page
    assert "B is better" not in page
