"""``generate --suffix`` and ``--control``: what stands around a text that is filled in, and what a text is to be."""

from pathlib import Path

import pytest

import textwright as tw
from tests.api.test_prompt_formats import KNOWN, tiny
from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "model"
    tiny(KNOWN).save(path)
    return path


FEW = ("--max-new-tokens", 6, "--seed", 1)


def test_the_command_line_shows_what_stands_around_what_was_filled_in(textwright: Run, folder: Path) -> None:
    asked = ("--suffix", " the end", "--control", "sad")
    (row,) = textwright("generate", folder, "Once", *FEW, *asked, "--json").json["completions"]
    assert (row["prompt"], row["suffix"]) == ("Once", " the end")
    assert row["text"] == tw.load(folder).generate("Once", max_new_tokens=6, seed=1, suffix=" the end", control="sad")
    assert textwright("generate", folder, "Once", *FEW, *asked).out == f"Once{row['text']} the end\n"
    several = textwright("generate", folder, "Once", *FEW, *asked, "--n", 2).out
    assert several.count("Once") == several.count(" the end\n") == 2
    (plain,) = textwright("generate", folder, "Once", *FEW, "--json").json["completions"]
    assert "suffix" not in plain


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--control", "sed"), "'mood' was never 'sed'; expected one of glad, sad; did you mean 'sad'?"),
        (("--control", ""), "no value for 'mood'"),
    ],
)
def test_a_mistake_is_one_line(textwright: Run, folder: Path, options: tuple[str, ...], message: str) -> None:
    done = textwright("generate", folder, "Once", *FEW, *options)
    note, error = done.err.splitlines()  # of the tokenizer, and of the mistake
    assert (done.code, done.out) == (2, "")
    assert "special tokens never arise from text" in note
    assert message in error


def test_a_model_that_learned_none_of_it_says_so(textwright: Run, finished_run: Path) -> None:
    for options, message in {
        ("--suffix", "x"): "a suffix for a model that has no tokens to fill in the middle",
        ("--control", "x"): "the control code 'x' for a model that knows none",
    }.items():
        done = textwright("generate", finished_run / "model", "Once", *FEW, *options)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert message in done.err
