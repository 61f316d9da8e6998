"""``textwright classify`` and ``cluster``: what a model's vectors tell, kept in folders that other commands read."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line

KINDS = {"letters": "aa bb cc dd ee", "digits": "11 22 33 44 55"}


def write_table(path: Path, number: int = 60, *, label: bool = True) -> Path:
    """Texts of two kinds that any model tells apart by their bytes."""
    rows = ["text\tlabel" if label else "text"]
    for place in range(number):
        name, words = [*KINDS.items()][place % 2]
        parts = words.split()
        text = (
            " ".join(parts[(place + step * step) % len(parts)] for step in range(3 + place % 4))
            + f" {parts[0] * place}"
        )
        rows.append(f"{text}\t{name}" if label else text)
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def base(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of its own, which tests may move."""
    folder = tmp_path_factory.mktemp("base") / "model"
    shutil.copytree(finished_run / "model", folder)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "kinds.tsv")


@pytest.fixture
def classifier(textwright: Run, base: Path, table: Path, tmp_path: Path) -> Path:
    done = textwright("classify", "train", base, "--data", table, "--out", tmp_path / "made")
    assert done.code == 0, done.err
    return tmp_path / "made"


def test_a_classifier_is_trained_judged_and_applied(textwright: Run, base: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    done = textwright("classify", "train", base, "--data", table, "--out", out, "--json")
    found = done.json
    assert set(found["metrics"]) == {"accuracy", "f1_macro", "f1_micro", "calibration_error"}
    assert found["metrics"]["accuracy"]["value"] == 1
    assert 0 <= found["baselines"]["majority"]["accuracy"] < 1
    assert (found["labels"], found["num_train"], found["num_held_out"]) == (["digits", "letters"], 54, 6)
    assert "longer than the model's context of 32 tokens: cut into pieces" in done.err
    asked = ("classify", "apply", out, "aa cc dd", "33 11 55", "--json")
    texts = textwright(*asked).json["texts"]
    assert [one["prediction"] for one in texts] == ["letters", "digits"]
    assert [one["text"] for one in texts] == ["aa cc dd", "33 11 55"]
    assert sum(texts[0]["probabilities"].values()) == pytest.approx(1)
    shown = textwright(*asked[:-1])
    assert [line.split()[3] for line in shown.out.splitlines()[1:]] == ["letters", "digits"]


@pytest.mark.parametrize(
    ("number", "judged", "said"),
    [
        (10, None, "judged on 1 other; one text says nothing of how good it is, and makes no interval"),
        (60, 2, "judged on 2 others; 2 texts say little of how good it is"),
        (60, 30, None),
    ],
)
def test_of_few_texts_it_is_said_that_they_are_few(
    textwright: Run, base: Path, tmp_path: Path, number: int, judged: int | None, said: str | None
) -> None:
    given = ["--data", write_table(tmp_path / "learned.tsv", number), "--out", tmp_path / "made"]
    if judged is not None:
        given += ["--val-data", write_table(tmp_path / "judged.tsv", judged)]
    done = textwright("classify", "train", base, *given)
    assert done.code == 0, done.err
    err = re.sub(r"predictions in \S+\s+", "", " ".join(done.err.split()))
    assert f"2 labels, learned from {number if judged else number - 1} texts (C = " in err
    assert ("--val-data" in err) == (said is not None)
    if said is not None:
        assert said in err


def test_one_text_is_one_text(textwright: Run, classifier: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "said.jsonl"
    assert "1 prediction in" in textwright("classify", "apply", classifier, "aa", "--out", out).err
    (tmp_path / "one.txt").write_text("one\n")
    done = textwright("cluster", "train", base, "--data", tmp_path / "one.txt", "--clusters", 1)
    assert "1 text; silhouette" in done.err
    alone = textwright("cluster", "train", base, "--data", tmp_path / "one.txt", "--clusters", 2)
    assert_one_line(alone, "--clusters 2 of 1 different text; expected at most as many")


def test_what_it_said_is_a_file_of_predictions(textwright: Run, classifier: Path, base: Path, tmp_path: Path) -> None:
    asked = ("--metrics", "accuracy,f1,calibration_error", "--json")
    first = textwright("score", "--predictions", classifier / "predictions.jsonl", *asked).json["metrics"]
    assert first["accuracy"]["value"] == 1
    test, out = write_table(tmp_path / "test.tsv", 30), tmp_path / "said.jsonl"
    done = textwright("classify", "apply", classifier, "--data", test, "--out", out)
    assert done.code == 0, done.err
    assert textwright("score", "--predictions", out, *asked).json["metrics"]["accuracy"] == pytest.approx(
        first["accuracy"] | {"n": 30}
    )
    again = tmp_path / "evaluated"
    options = ("--task", "classification", "--data", test, "--out", again, "--skip-long", "--engine", "torch")
    assert textwright("evaluate", base, *options).code == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    kept = {json.loads(line)["id"] for line in (again / "predictions.jsonl").read_text().splitlines()}
    out.write_text("".join(f"{json.dumps(row)}\n" for row in rows if row["id"] in kept))
    compared = textwright("compare-scores", again / "predictions.jsonl", out, "--metrics", "accuracy", "--json")
    assert compared.json["metrics"]["accuracy"]["b"] == 1


def test_the_data_that_it_is_judged_by_may_be_given_and_folders_are_labels(
    textwright: Run, base: Path, table: Path, tmp_path: Path
) -> None:
    for name, words in KINDS.items():
        (tmp_path / "folders" / name).mkdir(parents=True)
        for place in range(3):
            (tmp_path / "folders" / name / f"{place}.txt").write_text(f"{words}\n{place}\n")
    given = ("--data", table, "--val-data", tmp_path / "folders", "--out", tmp_path / "made", "--json")
    found = textwright("classify", "train", base, *given).json
    assert (found["num_train"], found["num_held_out"]) == (60, 6)
    assert found["metrics"]["accuracy"]["value"] == 1


def test_another_model_is_refused_and_one_that_moved_is_named(
    textwright: Run, classifier: Path, base: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    from textwright.api.model import load

    model = load(base)
    model.network.head_weight.data.mul_(1.5)
    model.save(other)
    asked = ("classify", "apply", classifier, "aa")
    assert_one_line(textwright(*asked, "--model", other), "a model of the hash", "--model")
    moved = base.rename(base.parent / "moved")
    try:
        assert_one_line(textwright(*asked), "is not there any more", "--model")
        assert textwright(*asked, "--model", moved).code == 0
    finally:
        moved.rename(base)
    assert textwright(*asked).code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text\tlabel\naa\tx\nbb\tx\n", "one label alone: x"),
        ("text\tlabel\naa\tx\n\ty\nbb\ty\n", "an empty text"),
        ("text\tkind\naa\tx\nbb\ty\n", "no field 'label'"),
        ("text\tlabel\naa\tx\nbb\ty\n", "none can be held out"),
    ],
)
def test_data_that_cannot_be_learned_is_one_line_and_leaves_nothing(
    textwright: Run, base: Path, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "bad.tsv").write_text(content)
    done = textwright("classify", "train", base, "--data", tmp_path / "bad.tsv", "--out", tmp_path / "made")
    assert_one_line(done, message)
    assert not (tmp_path / "made").exists()


def test_other_mistakes_are_one_line(
    textwright: Run, classifier: Path, base: Path, table: Path, tmp_path: Path
) -> None:
    unknown = tmp_path / "unknown.tsv"
    unknown.write_text("text\tlabel\naa\tletter\n11\tdigits\n")
    new = ("--out", tmp_path / "new")
    train = ("classify", "train", base)
    assert_one_line(textwright(*train, "--data", table, "--val-data", unknown, *new), "the label 'letter'", "letters")
    assert_one_line(textwright(*train, "--data", table, "--out", classifier), "is there already")
    assert_one_line(textwright(*train, *new), "without --data")
    assert_one_line(textwright(*train, "--data", tmp_path / "none.tsv", *new), "there is no file or folder")
    apply = ("classify", "apply", classifier)
    assert_one_line(textwright(*apply), "no text", "--texts-file FILE or --data FILES")
    assert_one_line(textwright(*apply, "aa", "--data", table), "texts and --data", "one of them")
    assert_one_line(textwright(*apply, "aa", " "), "an empty text", "text:2")
    assert_one_line(textwright("classify", "apply", base, "aa"), "no classifier.json")
    assert_one_line(textwright("classify", "trane", base), "did you mean 'train'?")


def test_clusters_are_found_described_and_judged_by_labels(
    textwright: Run, base: Path, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "made"
    given = ("cluster", "train", base, "--data", table, "--clusters", 2)
    done = textwright(*given, "--out", out, "--json")
    found = done.json
    assert [one["size"] for one in found["clusters"]] == [30, 30]
    assert found["metrics"]["adjusted_rand_index"]["value"] == pytest.approx(1)
    assert abs(found["baselines"]["random"]["adjusted_rand_index"]) < 0.1
    assert found["baselines"]["one_cluster"]["adjusted_rand_index"] == 0
    for one in found["clusters"]:
        assert len({word.isdigit() for word in one["words"]}) == 1
        assert len(one["nearest"]) == 3
    said = textwright("score", "--predictions", out / "predictions.jsonl", "--metrics", "clustering", "--json").json
    assert said["metrics"]["adjusted_rand_index"] == found["metrics"]["adjusted_rand_index"]
    shown = textwright(*given)
    assert "adjusted_rand_index" in shown.out
    assert "standardised" in shown.err
    applied = textwright("cluster", "apply", out, "aa bb cc", "bb dd ee", "22 33 11", "--json").json["texts"]
    clusters = [one["cluster"] for one in applied]
    assert clusters[0] == clusters[1] != clusters[2]


def test_clusters_of_lines_have_no_figures_and_auto_says_what_it_tried(
    textwright: Run, base: Path, tmp_path: Path
) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(f"{words} {place}" for place in range(4) for words in KINDS.values()) + "\n\n")
    done = textwright("cluster", "train", base, "--data", lines, "--json")
    assert done.json["metrics"] == done.json["baselines"] == {}
    assert done.json["num_texts"] == 8
    assert [*done.json["silhouettes"]] == [str(number) for number in range(2, 8)]
    assert done.json["out"] is None
    shown = textwright("cluster", "train", base, "--data", lines)
    assert "the best of 2 to 7 clusters" in shown.err


def test_clusters_that_cannot_be_are_one_line(textwright: Run, base: Path, classifier: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("one\ntwo\ntwo\n")
    train = ("cluster", "train", base, "--data", lines)
    assert_one_line(textwright(*train, "--clusters", 3), "--clusters 3 of 2 different texts")
    assert_one_line(textwright(*train, "--clusters", 0), "--clusters 0", "at least 1, or auto")
    assert_one_line(textwright(*train, "--clusters", "many"), "--clusters")
    assert_one_line(textwright(*train, "--out", classifier), "is there already")
    assert_one_line(textwright("cluster", "train", base), "without --data")
    assert_one_line(textwright("cluster", "apply", classifier, "a"), "no clusters.json")
    (tmp_path / "half.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "b"}\n')
    given = ("--data", tmp_path / "half.jsonl")
    assert_one_line(textwright("cluster", "train", base, *given), "no label", "half.jsonl:2")


def test_a_public_set_is_classified_beside_its_majority(
    textwright: Run, base: Path, tmp_path: Path, data_folder: Callable[[str], Path]
) -> None:
    folder = data_folder("sst2")
    train, dev = tmp_path / "train.tsv", tmp_path / "dev.tsv"
    train.write_text("".join((folder / "train.tsv").read_text().splitlines(keepends=True)[:300]))
    dev.write_text("".join((folder / "dev.tsv").read_text().splitlines(keepends=True)[:60]))
    given = ("--data", train, "--val-data", dev, "--out", tmp_path / "made", "--json")
    found = textwright("classify", "train", base, *given).json
    assert (found["num_train"], found["num_held_out"], found["labels"]) == (300, 60, ["0", "1"])
    accuracy = found["metrics"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
