"""A constrained completion fits its constraint, or says why it does not."""

import json
import math
import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.generation.conftest import CONTEXT, make_model, make_sequence
from textwright.core.errors import InputError
from textwright.generation.constraints import Constraint, compile_constraint
from textwright.generation.generate import generate
from textwright.generation.processors.constraint import constrain
from textwright.generation.request import Completion, SamplingConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer
from textwright.tokens.read_json import from_json

NUM_SAMPLES = 120
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "colour": {"enum": ["red", "blue", 3]},
        "age": {"type": "integer", "minimum": -5, "maximum": 120},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "colour", "age", "tags"],
    "additionalProperties": False,
}
SUM = """start: sum
sum: NUMBER | "(" sum "+" sum ")"
NUMBER: /[0-9]{1,3}/
"""


def fits_schema(value: Any) -> bool:
    """What ``SCHEMA`` says, by hand."""
    name, colour, age, tags = (value[key] for key in ("name", "colour", "age", "tags"))
    return (
        set(value) == set(SCHEMA["properties"])
        and isinstance(name, str)
        and len(name) <= 8
        and colour in ("red", "blue", 3)
        and isinstance(age, int)
        and -5 <= age <= 120
        and 1 <= len(tags) <= 3
        and all(isinstance(tag, bool) for tag in tags)
    )


def write(
    model: LanguageModel, tokenizer: Tokenizer, prompts: Sequence[str] = ("a", "", "The quick brown"), **sampling: Any
) -> list[Completion]:
    chosen = {"max_new_tokens": 400, "temperature": 1} | sampling
    return generate(model, tokenizer, prompts, SamplingConfig.model_validate(chosen))


def text_of(constraint: Constraint, token_ids: Sequence[int]) -> Constraint:
    for token_id in token_ids:
        constraint.push(token_id)
    return constraint


@pytest.mark.parametrize(
    "filters", [{}, {"top_k": 3}, {"top_p": 0.3, "min_p": 0.5}, {"temperature": 0}, {"repetition_penalty": 30}]
)
def test_json_of_an_untrained_model_always_fits_its_schema(
    gpt2: LanguageModel, tokenizer: Tokenizer, filters: dict[str, float]
) -> None:
    count = 1 if filters.get("temperature") == 0 else NUM_SAMPLES // 12
    found = write(gpt2, tokenizer, json_schema=json.dumps(SCHEMA), n=count, **filters)
    for completion in found:
        assert completion.stop_reason == "eos"
        assert fits_schema(json.loads(completion.text))


def test_many_samples_all_fit_and_are_not_all_the_same(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    found = write(gpt2, tokenizer, ["x"], json_schema=json.dumps(SCHEMA), n=NUM_SAMPLES, temperature=2)
    assert all(fits_schema(json.loads(completion.text)) for completion in found)
    assert len({completion.text for completion in found}) > NUM_SAMPLES // 2


def test_choices_give_one_of_them_even_where_one_begins_another(model: LanguageModel, tokenizer: Tokenizer) -> None:
    choices = ("yes", "yesterday", 'a "quoted"\nline', "床前🙂", "\x01\b\f\x7f\\", "no")
    found = write(model, tokenizer, choices=choices, n=20)
    assert {completion.text for completion in found} <= set(choices)
    assert {completion.stop_reason for completion in found} == {"eos"}


@pytest.mark.parametrize(
    "pattern", [r"[a-f]{3}-[0-9]+(é|🙂)?", r"(a|b|ab)*c{20}", r"[^@]{2,5}@x\.(com|org)", r"a/b\\", "x?"]
)
def test_a_regular_expression_matches_from_end_to_end(gpt2: LanguageModel, tokenizer: Tokenizer, pattern: str) -> None:
    for completion in write(gpt2, tokenizer, regex=pattern, n=8):
        if completion.finish_reason != "length":
            assert completion.stop_reason == "eos"
            assert re.fullmatch(pattern, completion.text)


def test_a_text_of_a_grammar_is_one_or_ran_out_of_tokens(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    found = write(gpt2, tokenizer, grammar=SUM, n=20, max_new_tokens=60)
    ended = [completion.text for completion in found if completion.stop_reason == "eos"]
    assert ended
    for text in ended:
        while "(" in text:
            text, replaced = re.subn(r"\(\d{1,3}\+\d{1,3}\)", "0", text)
            assert replaced
        assert re.fullmatch(r"\d{1,3}", text)
    assert {completion.stop_reason for completion in found} <= {"eos", None}


def test_rows_go_their_own_way_whatever_else_is_in_the_batch(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    prompts = ["a", "床前", "", "y" * (2 * CONTEXT)]
    schema = json.dumps(SCHEMA)
    together = write(gpt2, tokenizer, prompts, json_schema=schema)
    alone = [write(gpt2, tokenizer, [prompt], json_schema=schema)[0] for prompt in prompts]
    assert together == alone == write(gpt2, tokenizer, prompts[::-1], json_schema=schema)[::-1]


def test_a_stop_string_and_the_longest_length_end_a_completion_early(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    for completion in write(gpt2, tokenizer, regex="[ab]{5}STOP[ab]{5}", stop=("STOP",)):
        assert (completion.finish_reason, completion.stop_reason) == ("stop", "STOP")
        assert re.fullmatch("[ab]{5}", completion.text)
    for completion in write(gpt2, tokenizer, regex="[ab]{50}", max_new_tokens=10):
        assert (completion.finish_reason, completion.num_tokens) == ("length", 10)
    for completion in write(gpt2, tokenizer, regex="[ab]{10}", max_new_tokens=10):
        assert (completion.stop_reason, completion.num_tokens) == ("eos", 10)


def test_the_end_token_may_follow_exactly_where_the_text_is_whole(tokenizer: Tokenizer) -> None:
    start = compile_constraint(SamplingConfig(regex="ab?"), tokenizer)
    assert start is not None
    allowed = [
        np.flatnonzero(np.unpackbits(text_of(start.copy(), ids).bits, bitorder="little")).tolist()
        for ids in ([], [97], [97, 98])
    ]
    assert allowed == [[97], [98, 256], [256]]
    whole = text_of(start.copy(), [97, 98])
    assert (whole.is_accepting, whole.has_next, start.is_accepting) == (True, False, False)
    with pytest.raises(AssertionError, match="does not allow"):
        start.push(98)


def test_a_grammar_that_writes_the_end_token_itself_does_not_end_half_way(
    gpt2: LanguageModel, tokenizer: Tokenizer
) -> None:
    for completion in write(gpt2, tokenizer, grammar='start: "a" <[256]> "b"'):
        assert (completion.text, completion.stop_reason) == ("a", "constraint")


def test_log_probabilities_and_reports_are_the_model_s_own(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    (completion,) = write(gpt2, tokenizer, ["a"], choices=("q",), top_logprobs=3)
    (free,) = write(gpt2, tokenizer, ["a"], top_logprobs=3, max_new_tokens=1)
    (report,) = completion.reports
    assert report.top_logprobs == free.reports[0].top_logprobs
    assert (report.filtered_p, report.p < 0.5, report.rank > 1) == (1, True, True)
    assert math.isclose(completion.logprob, math.log(report.p), rel_tol=1e-4)


def test_rows_with_and_without_a_constraint_share_a_mask(tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(regex="[ab]")
    constraint = compile_constraint(sampling, tokenizer)
    rows = [make_sequence("x", tokenizer, sampling, one).history for one in (constraint, None)]
    logits = torch.zeros(2, 257)
    assert (constrain(logits, rows) > -math.inf).sum(dim=1).tolist() == [2, 257]
    assert constrain(logits, rows[1:]) is not None
    assert bool((logits == 0).all())


@pytest.mark.parametrize("kind", ["char", "bpe:300"])
def test_other_tokenizers_write_what_fits(kind: str) -> None:
    texts = ["yes no maybe {}[]:, the red and the blue house" * 5, '"name" true false 0123456789-']
    tokenizer = make_tokenizer(kind, lambda: iter(texts))
    model = make_model("gpt2", vocab_size=300)
    found = write(model, tokenizer, choices=("the house", "yes the blue", "no"), n=10)
    assert {completion.text for completion in found} <= {"the house", "yes the blue", "no"}
    for completion in write(model, tokenizer, regex="(the|blue)+( house)?", max_new_tokens=60):
        assert completion.finish_reason == "length" or re.fullmatch("(the|blue)+( house)?", completion.text)


def test_text_that_a_tokenizer_would_rewrite_is_spelled_out() -> None:
    plain = make_tokenizer("bpe:270", lambda: iter(["some words and other words " * 50]))
    tokenizer = from_json(plain.json | {"normalizer": {"type": "NFC"}}, "here")
    model = make_model("gpt2", vocab_size=300)
    for completion in write(model, tokenizer, choices=("e\u0301 words",)):  # in NFC it is one character
        assert (completion.text, completion.stop_reason) == ("e\u0301 words", "eos")


def test_ids_without_a_token_and_the_end_token_s_name_are_never_written() -> None:
    plain = make_tokenizer("byte", lambda: iter(()))
    tokenizer = from_json(_with_end_at(plain.json, 280), "here")
    model = make_model("gpt2", vocab_size=300)
    for completion in write(model, tokenizer, regex="(.|\n){1,20}", n=10):
        assert all(token_id < 256 or token_id == 280 for token_id in completion.token_ids)


def _with_end_at(content: dict[str, Any], end_id: int) -> dict[str, Any]:
    vocabulary = {token: end_id if index == 256 else index for token, index in content["model"]["vocab"].items()}
    added = [token | {"id": end_id} for token in content["added_tokens"]]
    return content | {"model": content["model"] | {"vocab": vocabulary}, "added_tokens": added}


def test_what_the_vocabulary_cannot_say_ends_with_that_reason() -> None:
    tokenizer = make_tokenizer("char", lambda: iter(["abc"]))
    model = make_model("gpt2", vocab_size=300)
    for pattern, text in (("é", ""), ("abé", "ab"), (r"[^\s\S]", "")):
        for completion in write(model, tokenizer, ["a", "b"], regex=pattern):
            assert (completion.text, completion.stop_reason) == (text, "constraint")
    for completion in write(model, tokenizer, choices=("é", "ab")):
        assert (completion.text, completion.stop_reason) == ("ab", "eos")


HOSTILE = {
    "regex": [
        "(a|b|ab)*c{1000}" * 20,
        "((a{1,1000}){1,1000}){1,1000}",
        "(((a?){100}){100}){100}",
        "(.*a.{1,1000}){50}",
        "a{100000000}",
        "(" * 20_000 + "a" + ")" * 20_000,
        "a" * 1_000_000,
    ],
    "grammar": [
        "start: T0\n" + "\n".join(f"T{i}: T{i + 1} T{i + 1}" for i in range(40)) + '\nT40: "a"',
        "start: t0\n" + "\n".join(f"t{i}: t{i + 1} t{i + 1}" for i in range(40)) + '\nt40: "a"',
        "start: " + "(" * 20_000 + '"a"' + ")" * 20_000,
        'start: s\ns: s s | "a" |',
    ],
    "json_schema": [
        '{"anyOf":[' * 5_000 + "{}" + "]}" * 5_000,
        json.dumps({"type": "string", "pattern": "((a{1,1000}){1,1000}){1,1000}"}),
        json.dumps({"enum": [f"v{number * 7919}" for number in range(7000)]}),
        json.dumps({"type": "object", "properties": {f"k{number}": {"type": "integer"} for number in range(2500)}}),
        json.dumps({"type": "integer", "multipleOf": 999_983}),
        json.dumps({"type": "number", "multipleOf": 1.000001}),
        json.dumps({"type": "integer", "allOf": [{"multipleOf": 9973}, {"multipleOf": 9967}]}),
        json.dumps({"type": "array", "minItems": 10**6, "items": {"type": "integer"}}),
    ],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in HOSTILE.items() for text in texts])
def test_a_hostile_constraint_is_refused_or_followed_in_bounded_time(
    gpt2: LanguageModel, tokenizer: Tokenizer, kind: str, text: str
) -> None:
    begun_s, refusal, reason = time.process_time(), "", ""
    try:
        reason = write(gpt2, tokenizer, ["a"], max_new_tokens=100, **{kind: text})[0].finish_reason
    except InputError as error:
        refusal = str(error)
    assert reason in ("length", "stop") or refusal.startswith(kind)
    assert "\n" not in refusal
    assert len(refusal) < 300
    assert time.process_time() - begun_s < 20


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"regex": "(a"}, "regex cannot be used: unclosed group"),
        ({"regex": "a(?=b)"}, "regex cannot be used: look-around"),
        ({"regex": "a" * 100_001}, "regex of 100,001 characters; expected at most 100,000"),
        ({"json_schema": "{"}, "json_schema cannot be used: not valid JSON: Expecting property name"),
        ({"json_schema": '{"const": NaN}'}, "json_schema cannot be used: not valid JSON: NaN is no number"),
        ({"json_schema": '{"const": "\\ud800"}'}, "json_schema cannot be used"),
        ({"json_schema": '{"$ref": "http://x.org/y"}'}, "json_schema cannot be used"),
        ({"json_schema": '{"type": "strin"}'}, "json_schema cannot be used: Invalid type: strin"),
        ({"json_schema": '{"type": "integer", "multipleOf": 20000}'}, "json_schema has a multipleOf too large"),
        ({"grammar": "start: foo"}, 'grammar cannot be used: unknown name: "foo"'),
        ({"grammar": '{"grammars": []}'}, "grammar cannot be used"),
        ({"grammar": "start: %json {}"}, "grammar cannot be used: %json in it"),
    ],
)
def test_a_broken_constraint_is_named_in_one_line(
    gpt2: LanguageModel, tokenizer: Tokenizer, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}") as caught:
        write(gpt2, tokenizer, **values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"choices": ("a", "")}, "at least 1 character"),
        ({"choices": ("a", "\ud800")}, "unicode"),
        ({"regex": "\udcff"}, "unicode"),
        ({"regex": ""}, "at least 1 character"),
        ({"regex": "a", "grammar": "b"}, "regex and grammar were given; one of them at a time"),
    ],
)
def test_empty_and_contradicting_constraints_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplingConfig.model_validate(values)


WAYS: list[dict[str, float]] = [{"temperature": 0}, {"temperature": 1}, {"num_beams": 3}, {"penalty_alpha": 0.5}]


@pytest.mark.parametrize("way", WAYS)
def test_every_strategy_meets_its_constraint(model: LanguageModel, tokenizer: Tokenizer, way: dict[str, float]) -> None:
    sampling = SamplingConfig.model_validate({"regex": "[ab]{2}(xy|z)", "max_new_tokens": 10, **way})
    for completion in generate(model, tokenizer, ["q", "rst"], sampling):
        assert re.fullmatch("[ab]{2}(xy|z)", completion.text)
        assert completion.stop_reason == "eos"


@pytest.mark.parametrize("way", WAYS)
def test_where_filters_leave_nothing_of_a_constraint_every_strategy_ends_unmet(
    gpt2: LanguageModel, tokenizer: Tokenizer, way: dict[str, float]
) -> None:
    sampling = SamplingConfig.model_validate({"choices": ("abc",), "bad_words": ("c",), "max_new_tokens": 10, **way})
    (completion,) = generate(gpt2, tokenizer, ["q"], sampling)
    assert (completion.text, completion.stop_reason) == ("ab", "constraint")


def test_a_search_prefers_what_meets_the_constraint(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(choices=("abc", "xyzw"), bad_words=("c",), num_beams=2, max_new_tokens=10)
    (completion,) = generate(gpt2, tokenizer, ["q"], sampling)
    assert (completion.text, completion.stop_reason) == ("xyzw", "eos")
