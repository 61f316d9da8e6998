"""What ``textwright generate`` can be told besides how to draw: engines, guesses, mixtures, constraints, reports."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

FEW = ("--max-new-tokens", 6, "--seed", 1)


@pytest.fixture
def model(finished_run: Path) -> Path:
    return finished_run / "model"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--regex", "("), "regex cannot be used"),
        (("--precision", "int8", "--engine", "torch"), "--precision int8 with --engine torch"),
        (("--num-beams", 3, "--prompt-lookup"), "guessing ahead with num_beams"),
        (("--draft", "x", "--prompt-lookup"), "--draft and --prompt-lookup"),
        (("--num-speculative-tokens", 3), "--num-speculative-tokens without"),
        (("--num-speculative-tokens", 0, "--prompt-lookup"), "--num-speculative-tokens 0"),
        (("--weights", 1), "1 weights for 0 models"),
        (("--json-schema", "nowhere.json"), "there is no file nowhere.json"),
        (("--choices", "a", "--regex", "b"), "choices and regex"),
        (("--logit-bias", "much"), "ID=BIAS"),
        (("--logit-bias", "999999=1"), "999999"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    textwright: Run, model: Path, options: tuple[object, ...], message: str
) -> None:
    done = textwright("generate", model, "The cat", *FEW, *options)
    assert (done.code, done.out) == (2, ""), done
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_stream_is_the_prompt_and_its_text(textwright: Run, model: Path) -> None:
    done = textwright("generate", model, "The cat", *FEW)
    (row,) = textwright("generate", model, "The cat", *FEW, "--json").json["completions"]
    assert done.out == f"The cat{row['text']}\n"


@pytest.mark.parametrize("options", [("--engine", "torch"), ("--batch-invariant",), ("--prompt-lookup",), ("--draft",)])
def test_greedy_text_is_the_same_however_it_is_computed(
    textwright: Run, model: Path, options: tuple[object, ...]
) -> None:
    greedy = ("--temperature", 0, "--max-new-tokens", 20, "--json")
    options = ("--draft", model) if options == ("--draft",) else options
    plain = textwright("generate", model, "The cat", *greedy).json
    found = textwright("generate", model, "The cat", *greedy, *options).json
    assert found["completions"][0]["text"] == plain["completions"][0]["text"]
    if "--draft" in options:
        assert found["acceptance_rate"] == 1


def test_models_that_are_the_same_mix_to_the_same(textwright: Run, model: Path) -> None:
    (alone,) = textwright("generate", model, "The cat", *FEW, "--json").json["completions"]
    mixed = textwright("generate", "The cat", *FEW, "--json", "--models", model, model, "--weights", 0.7, 0.3)
    assert mixed.json["completions"][0]["text"] == alone["text"]
    wrong = textwright("generate", "The cat", "--models", model, model, "--weights", 0.7)
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)


def test_a_report_says_how_each_token_was_chosen(textwright: Run, model: Path) -> None:
    asked = ("--top-k", 2, "--top-logprobs", 3, *FEW)
    (row,) = textwright("generate", model, "The cat", *asked, "--json").json["completions"]
    assert len(row["tokens"]) == row["num_tokens"]
    for token in row["tokens"]:
        ps = [other["p"] for other in token["top_logprobs"]]
        assert ps == sorted(ps, reverse=True)
        assert len(ps) == 3
        assert token["rank"] <= 2
        assert token["filtered_p"] >= token["p"]
        assert {"token_id", "text", "entropy_nats"} <= set(token)
    assert "likeliest" in textwright("generate", model, "The cat", *asked).out


def test_a_schema_can_be_a_file_and_a_text_that_falls_short_is_named(
    textwright: Run, model: Path, tmp_path: Path
) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "integer", "minimum": 0, "maximum": 99}))
    asked = ("--json-schema", schema, "--max-new-tokens", 10)
    (row,) = textwright("generate", model, "n = ", *asked, "--json").json["completions"]
    assert 0 <= json.loads(row["text"]) <= 99
    assert "1 of 1 completions ended before" in textwright("generate", model, "n", "--regex", "a{40}", *FEW).err
