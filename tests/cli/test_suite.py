"""``textwright evaluate MODEL --suite gpt2``: figures by several protocols, side by side."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line

WIKI = " \n = Cats = \n \n The cat sat , on the mat . \n \n = Dogs = \n \n The dog sat . \n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("lambada.jsonl", "wiki.test.raw", "enwik", "cloze.jsonl")}
    texts = ("The cat sat on the mat", "A bird sang in the tree", "The dog sat down")
    made["lambada.jsonl"].write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    made["wiki.test.raw"].write_text(WIKI)
    made["enwik"].write_text("<page>The cat</page>\n" * 100)
    cloze = {"text": "The _ sat.", "options": ["cat", "log"], "answer": "cat"}
    made["cloze.jsonl"].write_text(json.dumps(cloze) + "\n" + json.dumps(cloze | {"answer": 2}) + "\n")
    return made


def test_a_suite_gives_each_figure_by_its_protocols(
    textwright: Run, finished_run: Path, files: dict[str, Path]
) -> None:
    names = ("--lambada", "--wikitext", "--bytes", "--cloze")
    arguments = [part for pair in zip(names, files.values(), strict=True) for part in pair]
    found = textwright("evaluate", finished_run / "model", "--suite", "gpt2", *arguments, "--json").json
    assert (found["suite"], found["left_out"]) == ("gpt2", [])
    assert {row: list(protocols) for row, protocols in found["rows"].items()} == {
        "lambada_accuracy": ["gpt2", "gpt2_no_filter", "gpt2_word", "lm_eval"],
        "lambada_perplexity": ["gpt2", "lm_eval"],
        "wikitext_perplexity": ["gpt2", "lm_eval", "hugging_face"],
        "wikitext_bits_per_byte": ["lm_eval"],
        "bits_per_byte": ["gpt2", "lm_eval"],
        "cloze_accuracy": ["full", "partial"],
    }
    one = found["rows"]["bits_per_byte"]["gpt2"]
    assert set(one) == {"value", "low", "high", "n", "unit", "differs"}
    assert one["low"] <= one["value"] <= one["high"]
    assert found["rows"]["cloze_accuracy"]["full"]["value"] == 0.5


def test_what_is_not_given_is_left_out_and_said_so(textwright: Run, finished_run: Path, files: dict[str, Path]) -> None:
    shown = textwright("evaluate", finished_run / "model", "--suite", "gpt2", "--wikitext", files["wiki.test.raw"])
    assert "left out, as no file was given: --lambada, --bytes, --cloze" in shown.err
    assert "lambada" not in shown.out
    assert "hugging_face" in shown.out
    assert "[1] nats for each word, mark and line end of WikiText" in shown.out


def test_what_cannot_be_measured_is_one_line(
    textwright: Run, finished_run: Path, files: dict[str, Path], tmp_path: Path, text_file: Path
) -> None:
    suite = ("evaluate", finished_run / "model", "--suite")
    wiki = ("--wikitext", files["wiki.test.raw"])
    assert_one_line(textwright(*suite, "gtp2", *wiki), "unknown suite 'gtp2'", "did you mean 'gpt2'")
    assert_one_line(textwright(*suite, "gpt2"), "a suite without data", "--lambada")
    assert_one_line(textwright(*suite, "gpt2", "--lambada", tmp_path / "none"), "there is no file")
    assert_one_line(textwright(*suite, "gpt2", "--wikitext", files["enwik"]), "is plain text", "--bytes")
    assert_one_line(textwright(*suite, "gpt2", "--lambada", files["cloze.jsonl"], "--text", text_file), "--text with")
    assert_one_line(textwright(*suite, "gpt2", *wiki, "--text-field", "body"), "--text-field with --suite")
    assert_one_line(textwright(*suite, "gpt2", *wiki, "--limit", "3"), "--limit without a task")
    assert_one_line(textwright(*suite, "gpt2", *wiki, "--stride", "99"), "a stride of 99")
    assert_one_line(textwright("evaluate", finished_run / "model", *wiki), "--wikitext without --suite")
    both = ("evaluate", finished_run / "model", finished_run, "--suite", "gpt2")
    assert_one_line(textwright(*both, *wiki), "2 models with --suite")
