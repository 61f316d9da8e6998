"""Files of predictions, by whatever system wrote them, are read as they are or refused by line."""

import json
from pathlib import Path
from typing import Any

import pytest

from textwright.core.errors import InputError
from textwright.evaluation.predictions import find_prediction_files, in_order_of, read_predictions

ROW = {
    "id": "x1",
    "document": "d",
    "prompt": "p",
    "prediction": "said\u2028so",
    "references": ["a", "b"],
    "source": "s",
}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def test_a_line_is_an_example_with_all_that_metrics_may_ask_for(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", ROW | {"entities": [[0, 2, "PER"]]}, {"prediction": "", "id": 7}, {"prediction": "x"}
    )
    first, second, third = read_predictions(path)
    assert (first.id, first.document, first.judged.prediction) == ("x1", "d", "said\u2028so")
    assert (first.judged.references, first.judged.source) == (("a", "b"), "s")
    assert first.judged.details == {"prompt": "p", "entities": [[0, 2, "PER"]]}
    assert (second.id, second.judged.references, third.id) == ("7", (), "3")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not valid JSON: "),
        ("[]", "list instead of an object"),
        ("{}", "no field 'prediction'"),
        ('{"prediction": 3}', "'prediction' is int"),
        ('{"prediction": null}', "'prediction' is NoneType"),
        ('{"prediction": "x", "references": "x"}', "'references' is not a list of texts"),
        ('{"prediction": "x", "references": [1]}', "a reference is int"),
        ('{"prediction": "x", "source": []}', "'source' is list"),
        ('{"prediction": "x", "id": true}', "'id' is bool"),
        ('{"prediction": "x", "id": "first"}', "the id 'first' comes twice"),
    ],
)
def test_what_is_no_prediction_is_refused_by_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prediction": "x", "id": "first"}\n\n' + line)
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    assert said in str(caught.value)
    assert f"{path}:3" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_without_predictions_and_folders_without_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(InputError, match=r"empty\.jsonl is empty"):
        read_predictions(tmp_path / "empty.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"ends in \.jsonl; expected a file of predictions for each seed"):
        find_prediction_files(tmp_path / "folder")
    assert find_prediction_files(tmp_path) == [tmp_path / "empty.jsonl"]


def test_predictions_are_matched_by_id(tmp_path: Path) -> None:
    rows = [{"id": name, "prediction": name, "references": ["r"]} for name in "abc"]
    first = read_predictions(write(tmp_path / "a.jsonl", *rows))
    other = read_predictions(write(tmp_path / "b.jsonl", *rows[::-1]))
    assert in_order_of(first, other, "b.jsonl") == first


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([ROW], "1 prediction; in b.jsonl; expected 2"),
        ([ROW, ROW | {"id": "y"}], "1 of 2 ids of the other file is missing, the first 'x2'"),
        ([ROW, ROW | {"id": "x2", "references": ["a"]}], "'x2' has another references"),
        ([ROW, ROW | {"id": "x2", "document": "e"}], "'x2' has another document"),
        ([ROW, ROW | {"id": "x2", "source": ""}], "'x2' has another source"),
    ],
)
def test_predictions_for_other_examples_are_refused(tmp_path: Path, rows: list[Any], said: str) -> None:
    first = read_predictions(write(tmp_path / "a.jsonl", ROW, ROW | {"id": "x2"}))
    other = read_predictions(write(tmp_path / "b.jsonl", *rows))
    with pytest.raises(InputError) as caught:
        in_order_of(first, other, "b.jsonl")
    assert said in str(caught.value)


def test_the_answers_of_an_evaluation_are_read_in_the_order_of_its_examples(tmp_path: Path) -> None:
    """They are written as they are done; an interval would be another for every order."""
    path = tmp_path / "predictions.jsonl"
    rows = [{"id": str(place), "place": place, "prediction": f"p{place}", "references": ["r"]} for place in (2, 0, 1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [one.judged.prediction for one in read_predictions(path)] == ["p0", "p1", "p2"]
    path.write_text("".join(json.dumps({**row, "place": None}) + "\n" for row in rows))
    assert [one.judged.prediction for one in read_predictions(path)] == ["p2", "p0", "p1"]
