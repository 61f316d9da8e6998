"""``textwright score`` judges any system's files, and says in one line what it cannot judge."""

import gzip
import json
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line

SAID = ["the cat sat on the mat", "a dog slept by the stove", "it rained all day long"]
WANTED = ["the cat sat on a mat", "the dog slept by the stove", "it rained the whole day"]
OTHERS = ["a cat sat on the mat", "", "it rained all day long"]


def lines_in(path: Path, lines: list[str], end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return lines_in(tmp_path / "said.txt", SAID)


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    return lines_in(tmp_path / "wanted.txt", WANTED)


def test_figures_by_name_with_what_they_depend_on(textwright: Run, said: Path, wanted: Path) -> None:
    done = textwright(
        "score", "--predictions", said, "--references", wanted, "--metrics", "bleu,chrf, ter,rouge", "--json"
    )
    metrics = done.json["metrics"]
    theirs = BLEU()
    assert metrics["bleu"]["value"] == pytest.approx(theirs.corpus_score(SAID, [WANTED]).score)
    assert metrics["bleu"]["n"] == 3
    assert metrics["bleu"]["signature"].startswith(str(theirs.get_signature()))
    assert {"bleu", "bleu_1", "chrf", "ter", "rouge_1", "rouge_lsum_recall"} <= set(metrics)


def test_an_empty_line_among_several_files_of_references_is_none(
    textwright: Run, said: Path, wanted: Path, tmp_path: Path
) -> None:
    others = lines_in(tmp_path / "others.txt", OTHERS)
    done = textwright("score", "--predictions", said, "--references", wanted, others, "--metrics", "bleu", "--json")
    theirs = BLEU()
    found = theirs.corpus_score(SAID, [WANTED, [text or None for text in OTHERS]])  # type: ignore[list-item]
    assert done.json["metrics"]["bleu"]["value"] == pytest.approx(found.score)
    assert done.json["metrics"]["bleu"]["signature"].startswith("nrefs:var|")


def test_json_lines_hold_references_and_details(textwright: Run, tmp_path: Path) -> None:
    rows = [
        {"prediction": "yes", "references": ["yes"], "cluster": 0, "source": None},
        {"prediction": "yes", "references": ["no", "never"], "cluster": 1},
    ]
    path = lines_in(tmp_path / "said.jsonl", [*(json.dumps(row) for row in rows), ""])
    done = textwright("score", "--predictions", path, "--metrics", "accuracy,clustering", "--json")
    assert done.json["metrics"]["accuracy"]["value"] == 0.5
    assert done.json["metrics"]["adjusted_rand_index"]["value"] == 1


def test_json_lines_take_their_references_from_files_where_they_have_none(textwright: Run, tmp_path: Path) -> None:
    path = lines_in(tmp_path / "said.jsonl", [json.dumps({"prediction": text}) for text in SAID])
    wanted = lines_in(tmp_path / "wanted.txt", SAID)
    done = textwright("score", "--predictions", path, "--references", wanted, "--metrics", "bleu", "--json")
    assert done.json["metrics"]["bleu"]["value"] == pytest.approx(100)


def test_a_person_reads_figures_and_why_there_is_none(textwright: Run, tmp_path: Path) -> None:
    path = lines_in(tmp_path / "said.txt", ["two words", "three more words"])
    done = textwright("score", "--predictions", path, "--references", path, "--metrics", "bleu")
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.out.splitlines()}
    assert shown["bleu_1"] == "100.0000   100.0000 to 100.0000"
    assert "no prediction has four words" in shown["bleu"]
    assert done.err.startswith("bleu: nrefs:1|case:mixed|eff:no|tok:13a")


def test_only_a_line_feed_ends_a_line(textwright: Run, tmp_path: Path) -> None:
    text = ["one\x85still one\u2028and on\x0b\x1c", "two\ra carriage return within", ""]
    plain, windows = lines_in(tmp_path / "a.txt", text), lines_in(tmp_path / "b.txt", text, end="\r\n")
    marked = tmp_path / "marked.txt.gz"
    marked.write_bytes(gzip.compress("\ufeff".encode() + "\n".join(text).encode() + b"\n"))
    for other in (windows, marked):
        done = textwright(
            "score", "--predictions", plain, "--references", other, "--metrics", "edit_distance", "--json"
        )
        assert done.json["metrics"]["edit_distance"] == {
            "value": 0,
            "low": 0,
            "high": 0,
            "n": 3,
            "signature": done.json["metrics"]["edit_distance"]["signature"],
        }


def test_the_source_is_for_metrics_that_need_it_and_must_fit(
    textwright: Run, said: Path, wanted: Path, tmp_path: Path
) -> None:
    source = lines_in(tmp_path / "source.txt", ["one", "two"])
    asked = ("score", "--predictions", said, "--references", wanted, "--metrics", "bleu", "--source")
    assert_one_line(textwright(*asked, source), "source.txt has 2 lines", "expected 3, as many as", "said.txt")
    assert textwright(*asked, said).code == 0


def test_what_is_wrong_is_said_in_one_line(textwright: Run, said: Path, wanted: Path, tmp_path: Path) -> None:
    empty, short = lines_in(tmp_path / "empty.txt", []), lines_in(tmp_path / "short.txt", WANTED[:2])
    blank = lines_in(tmp_path / "blank.txt", ["", "a", "b"])
    (tmp_path / "latin.txt").write_bytes(b"fine\nol\xe9\n")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"a line\n" * 500)[:30])

    def wrong(*arguments: object, metrics: str = "bleu", parts: tuple[str, ...]) -> None:
        assert_one_line(textwright("score", *arguments, "--metrics", metrics), *parts)

    known = ("--predictions", said, "--references", wanted)
    wrong(*known, metrics="bleu,cider", parts=("unknown metric 'cider'", "expected one of accuracy, bleu"))
    wrong(*known, metrics="blue", parts=("unknown metric 'blue'", "did you mean 'bleu'?"))
    wrong(*known, metrics="", parts=("unknown metric ''",))
    wrong("--predictions", said, parts=("--metrics bleu without references", "--references"))
    wrong("--predictions", said, "--references", short, parts=("short.txt has 2 lines", "expected 3, as many as"))
    wrong("--predictions", said, "--references", blank, blank, parts=("no reference; in example 1",))
    wrong("--predictions", empty, "--references", wanted, parts=("empty.txt is empty", "one a line"))
    wrong("--predictions", said, "--references", empty, parts=("empty.txt has 0 lines",))
    wrong("--predictions", tmp_path / "typo.txt", "--references", wanted, parts=("there is no file", "typo.txt"))
    wrong("--predictions", tmp_path, "--references", wanted, parts=("is a folder", "name a file"))
    wrong("--predictions", tmp_path / "latin.txt", "--references", wanted, parts=("not UTF-8; in line 2",))
    wrong("--predictions", tmp_path / "cut.txt.gz", "--references", wanted, parts=("cut.txt.gz cannot be unpacked",))
    wrong(*known, metrics="perplexity", parts=("no 'logprob'; in example 1; expected all of logprob, num_tokens",))


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ('{"references": ["a"], "text": "b"}', ("no field 'prediction'", "said.jsonl:2", "'text'")),
        ('{"prediction": 3}', ("'prediction' is int", "expected text")),
        ('{"prediction": "a", "references": "b"}', ("'references' is not a list of texts",)),
        ('{"prediction": "a", "references": [1]}', ("a reference is int", "expected text")),
        (r'{"prediction": "a\ud83d", "references": ["b"]}', ("half a surrogate pair in 'prediction'",)),
        ('{"prediction": "a", "source": 1}', ("'source' is int",)),
        ('["a"]', ("list instead of an object",)),
        ('{"prediction": "a"', ("not valid JSON", "said.jsonl:2")),
        ('{"prediction": "a"}', ("no reference; in example 2",)),
    ],
)
def test_a_row_that_is_not_as_it_should_be(textwright: Run, tmp_path: Path, row: str, parts: tuple[str, ...]) -> None:
    path = lines_in(tmp_path / "said.jsonl", ['{"prediction": "a", "references": ["a"]}', row])
    assert_one_line(textwright("score", "--predictions", path, "--metrics", "bleu"), *parts)


def test_references_in_two_places(textwright: Run, tmp_path: Path) -> None:
    path = lines_in(tmp_path / "said.jsonl", ['{"prediction": "a", "references": ["a"]}'])
    asked = ("--predictions", path, "--references", lines_in(tmp_path / "wanted.txt", ["a"]), "--metrics", "bleu")
    assert_one_line(textwright("score", *asked), "--references, and references in", "expected one of them")


def test_compare_scores_takes_the_metrics_whose_details_are_there(textwright: Run, tmp_path: Path) -> None:
    for name, chance in (("a", 0.9), ("b", 0.2)):
        rows = [
            {"id": str(n), "prediction": "x", "references": ["x"], "probabilities": {"x": chance, "y": 1 - chance}}
            for n in range(20)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = textwright("compare-scores", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--json")
    assert list(done.json["metrics"]) == ["calibration_error"]
