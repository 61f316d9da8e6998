"""``textwright report`` makes pages again from folders, puts several side by side, and leaves a person's card alone."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line
from tests.report.browser import open_page
from textwright.checkpoint.model_card import MARK
from textwright.checkpoint.model_folder import damage_of_model, load_folder, save_model
from textwright.runs.run_folder import PARTS

ROWS = "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in [("cat", "good"), ("log", "bad")] * 4)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(finished_run, tmp_path / "cats")
    monkeypatch.chdir(tmp_path)
    return Path("cats")


@pytest.fixture
def evaluated(textwright: Run, run: Path) -> Path:
    """An evaluation of the run's model, where evaluate leaves it."""
    Path("reviews.tsv").write_text(ROWS)
    done = textwright("evaluate", run / "model", "--task", "classification", "--data", "reviews.tsv", "--json")
    assert done.code == 0, done.err
    return Path("evaluations/cats-classification")


def test_a_runs_report_is_made_again(textwright: Run, run: Path, finished_run: Path) -> None:
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    done = textwright("report", run, "--json")
    assert done.json == {"report": str(run / "report.html")}
    assert (run / "report.html").read_text() == before.replace(str(finished_run), str(run))
    for shown in ("cats.txt", "SHA-256 of the files", "tokens", "the model that is left", "textwright train --config"):
        assert shown in before


def test_an_evaluations_report_is_made_again(textwright: Run, evaluated: Path) -> None:
    before = (evaluated / "report.html").read_text()
    (evaluated / "report.html").unlink()
    assert textwright("report", evaluated).out.strip() == str(evaluated / "report.html")
    assert (evaluated / "report.html").read_text() == before


def test_the_card_has_the_evaluations_of_its_model_and_is_renewed(textwright: Run, run: Path, evaluated: Path) -> None:
    card = run / "model" / "README.md"
    before = card.read_text()
    assert MARK in before
    assert "accuracy" not in before
    assert textwright("report", run).code == 0
    assert "accuracy (95 % interval" in card.read_text()
    assert damage_of_model(run / "model") is None
    assert textwright("verify", run).code == 0
    settings = json.loads((evaluated / "evaluation.json").read_text())
    settings["about"]["model"]["files"] = {"model.safetensors": "0" * 64}
    (evaluated / "evaluation.json").write_text(json.dumps(settings))
    assert textwright("report", run).code == 0
    assert card.read_text() == before  # that was another model


def test_an_evaluation_that_was_given_once_stays_in_the_card(textwright: Run, run: Path, evaluated: Path) -> None:
    card = run / "model" / "README.md"
    elsewhere = Path("kept/reviews")
    elsewhere.parent.mkdir()
    evaluated.rename(elsewhere)
    assert textwright("report", run).code == 0
    assert "accuracy" not in card.read_text()
    given = textwright("report", run, elsewhere, "--out", "both.html")
    assert "with 1 evaluation\n" in given.err
    with_it = card.read_text()
    assert "accuracy (95 % interval" in with_it
    assert "with 1 evaluation\n" in textwright("report", run).err
    assert card.read_text() == with_it
    assert {path.name for path in run.iterdir() if not path.name.startswith(".")} <= set(PARTS)
    settings = (elsewhere / "evaluation.json").read_text()
    (elsewhere / "evaluation.json").write_text(settings[:40])
    done = textwright("report", run)
    assert done.code == 0
    assert "not in the model card any more: " in done.err
    assert "evaluation.json does not read" in done.err
    assert "accuracy" not in card.read_text()
    assert "any more" not in textwright("report", run).err  # it is said once


def test_what_of_evaluations_is_left_out_of_the_card_is_told(textwright: Run, run: Path, evaluated: Path) -> None:
    shutil.copytree(evaluated, "evaluations/broken")
    rows = Path("evaluations/broken/predictions.jsonl")
    rows.write_text("{\n" + rows.read_text())
    done = textwright("report", run)
    assert "with 1 evaluation\n" in done.err
    assert "not in the model card: a damaged line" in done.err
    shutil.rmtree(evaluated)
    done = textwright("report", run)
    assert "with 0 evaluations" in done.err
    assert "not in the model card any more: there is no file" in done.err


@pytest.mark.parametrize("text", ["mine\n", "changed"])
def test_a_card_that_somebody_wrote_or_changed_is_never_touched(textwright: Run, run: Path, text: str) -> None:
    card = run / "model" / "README.md"
    text = card.read_text().replace("## Limits", "## What it cannot do") if text == "changed" else text
    card.write_text(text)
    done = textwright("report", run)
    assert (done.code, card.read_text()) == (0, text)
    assert "is yours, and was left as it is" in done.err
    network, tokenizer = load_folder(run / "model")
    save_model(network, tokenizer, run / "model")
    assert card.read_text() == text


def test_a_card_of_ours_goes_with_its_model(run: Path) -> None:
    network, tokenizer = load_folder(run / "model")
    save_model(network, tokenizer, run / "model")
    assert not (run / "model" / "README.md").exists()


def test_several_are_one_page(textwright: Run, run: Path, evaluated: Path) -> None:
    shutil.copytree(run, "dogs")
    config = Path("dogs/config.toml")
    config.write_text(config.read_text().replace("batch_size = 4", "batch_size = 8"))
    shutil.copytree(evaluated, "other")
    card = run / "model" / "README.md"
    before = card.read_bytes()
    done = textwright("report", run, "dogs", evaluated, "other", "--out", "all.html", "--json")
    assert done.json == {"report": "all.html"}
    page = Path("all.html").read_text()
    for shown in ("cats beside dogs", "tokens learned from", "training.batch_size</td><td class='long'>4</td>"
                  "<td class='long'>8", "Figures of classification", "B: other", "Samples"):  # fmt: skip
        assert shown in page
    assert card.read_bytes() == before
    assert textwright("report", run, "dogs").out.strip() == "report.html"
    again = textwright("report", run, "dogs")  # a page of ours may be written anew
    assert (again.code, again.err) == (0, "report.html was a report already: replaced\n")


def test_a_page_that_is_not_ours_or_of_something_else_is_not_replaced(
    textwright: Run, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(run, "dogs")
    Path("report.html").write_text("<html>years of work</html>")
    assert_one_line(textwright("report", run, "dogs"), "report.html is there already, and is no report", "--out")
    assert Path("report.html").read_text() == "<html>years of work</html>"
    before = Path("dogs/report.html").read_text()
    monkeypatch.chdir("dogs")
    assert_one_line(textwright("report", "../cats", "."), "report.html is the report of the run that it lies in")
    assert_one_line(textwright("report", "../cats", "--out", "report.html"), "the report of the run that it lies in")
    assert Path("report.html").read_text() == before
    assert textwright("report", ".", "--out", "report.html").code == 0


def test_a_damaged_line_of_a_journal_is_named_and_a_torn_end_told(textwright: Run, run: Path) -> None:
    journal = run / "journal.jsonl"
    whole = journal.read_text()
    journal.write_text(whole + '{"kind": "tra')
    number = whole.count("\n") + 1
    done = textwright("report", run)
    assert done.code == 0
    assert f"journal.jsonl:{number} was cut short, as kills leave it" in done.err
    first, rest = whole.split("\n", 1)
    journal.write_text(f"{first[:10]}\n{rest}")
    assert_one_line(textwright("report", run), "a damaged line", "journal.jsonl:1", "delete that line")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no folder"),
        (("nowhere",), "there is no folder nowhere"),
        (("cats", "cats/"), "is given twice"),
        (("cats/model",), "is a part of a run; name the run: cats"),
        (("empty",), "neither a run nor an evaluation"),
        (("broken",), "broken/evaluation.json does not read: "),
        (("cats", "--out", "mine.txt"), "mine.txt is there already, and is no report"),
        (("cats", "--out", "no/where.html"), "there is no folder no"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    textwright: Run, run: Path, arguments: tuple[str, ...], message: str
) -> None:
    Path("empty").mkdir()
    Path("broken").mkdir()
    Path("broken/evaluation.json").write_text("[1, 2")
    Path("mine.txt").write_text("mine")
    done = textwright("report", *arguments)
    assert_one_line(done, message)
    assert Path("mine.txt").read_text() == "mine"


def test_pages_run_and_ask_for_nothing_in_a_browser(
    textwright: Run, run: Path, evaluated: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, "dogs")
    shutil.copytree(evaluated, "other")
    assert textwright("report", run, "dogs", evaluated, "other", "--out", "all.html").code == 0
    Path("bad.html").write_text("<img src='http://elsewhere.test/x.png'><script>console.error('hello')</script>")
    for page in (run / "report.html", evaluated / "report.html", Path("all.html")):
        opened = open_page(page, tmp_path / "profile")
        assert (opened.requests, opened.console) == ([], [])
        assert opened.dom.count("<svg") == page.read_text().count("<svg") > 1
    bad = open_page(Path("bad.html"), tmp_path / "profile")
    assert "http://elsewhere.test/x.png" in bad.requests  # such a page would be noticed
    assert len(bad.console) == 1
