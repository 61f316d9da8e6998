"""A model is asked for what stands in the middle, and for a control code, as it learned both; and remembers how."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import textwright as tw
from tests.data.sentinels import with_sentinels
from textwright.api.config import fine_tune_options
from textwright.api.fit_data import FitData
from textwright.api.fit_run import fit, fit_config
from textwright.api.taught import Taught
from textwright.checkpoint.model_folder import damage_of_model, read_prompt_format
from textwright.core.errors import InputError
from textwright.data.control import ControlCodes
from textwright.data.dataset import DataSplits
from textwright.data.examples import Example, ExampleTokens
from textwright.data.fill_in_middle import FillInMiddle, Middle, Order
from textwright.data.prompt_format import PromptFormat
from textwright.data.shape import Shaper
from textwright.generation.request import Request, SamplingConfig
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.text.document import Document
from textwright.tokens import make_tokenizer
from textwright.training.strategies import parse_strategy

PLAIN = make_tokenizer("byte", lambda: iter(()))
TOKENIZER = with_sentinels(PLAIN)
MOODS = ControlCodes(field="mood", form="[mood: {value}]\n", values=("glad", "sad"))
KNOWN = PromptFormat(fim=FillInMiddle(), control=MOODS)
GREEDY: dict[str, Any] = {"temperature": 0, "max_new_tokens": 8}


def tiny(prompt_format: PromptFormat | None = None) -> tw.Model:
    shape = {"vocab_size": 260, "context_length": 64, "num_layers": 2, "num_heads": 2, "hidden_size": 32}
    return tw.Model(build(GPTConfig.model_validate(shape), seed=0).eval(), TOKENIZER, prompt_format=prompt_format)


def learn(model: tw.Model, tokens: ExampleTokens, steps: int) -> None:
    options = fine_tune_options({"steps": steps, "batch_size": 8, "learning_rate": 2e-2}, "a test")
    whole, data = Taught(model.network, TOKENIZER), FitData(DataSplits(tokens, None))
    fit(whole, data, fit_config(data, whole, options, parse_strategy("full")), [], out=None, quiet=True)


def taught(examples: Iterable[Example], steps: int, **options: Any) -> tw.Model:
    """A tiny model that learned the examples in a shape."""
    model = tiny()
    shaper = Shaper(TOKENIZER, max_tokens=64, **options)
    tokens = ExampleTokens(shaper.apply(examples), TOKENIZER, max_pair_tokens=64)
    learn(model, tokens, steps)
    known = PromptFormat(fim=options.get("sentinels"), control=shaper.control_codes)
    return tw.Model(model.network.eval(), TOKENIZER, prompt_format=known)


@pytest.mark.parametrize("asked", [{"suffix": "and so on"}, {"control": "sad"}, {"suffix": "", "control": "glad"}])
def test_what_is_asked_is_the_prompt_laid_out(asked: dict[str, str]) -> None:
    model = tiny(KNOWN)
    prompts = ["Once", "Twice upon"]
    ids = [KNOWN.ids(prompt, TOKENIZER, **asked) for prompt in prompts]
    plain = model.complete(ids, n=2, seed=3, max_new_tokens=8)
    found = model.complete(prompts, n=2, seed=3, max_new_tokens=8, **asked)
    assert [one.token_ids for one in found] == [one.token_ids for one in plain]
    assert [one.prompt for one in found] == ["Once", "Once", "Twice upon", "Twice upon"]
    assert model.generate("Once", seed=3, max_new_tokens=8, **asked) == found[0].text
    request = Request("Once", SamplingConfig(seed=3, max_new_tokens=8))
    assert model.complete([request], **asked)[0].token_ids == found[0].token_ids
    marked = model.complete(["<|endoftext|>"], special_tokens=True, **GREEDY, **asked)[0]
    wanted = KNOWN.ids("<|endoftext|>", TOKENIZER, special_tokens=True, **asked)
    assert marked.token_ids == model.complete([wanted], **GREEDY)[0].token_ids


def test_what_cannot_be_asked_is_refused() -> None:
    for asked in ({"suffix": "b"}, {"control": "sad"}):
        with pytest.raises(InputError, match=r"with token ids; in prompts\[1\]; expected a text"):
            tiny(KNOWN).complete(["a", [1, 2]], **asked)
    with pytest.raises(InputError, match="the control code 'sad' for a model that knows none"):
        tiny().generate("a", control="sad")
    with pytest.raises(InputError, match="suffix is"):
        tiny(KNOWN).complete(["a"], suffix=3)  # type: ignore[arg-type]


def test_a_model_folder_remembers_it(tmp_path: Path) -> None:
    tiny(KNOWN).save(tmp_path / "model")
    ours = json.loads((tmp_path / "model" / "textwright.json").read_text())
    tokens = {part: f"<|fim_{part}|>" for part in ("prefix", "suffix", "middle")}
    assert ours["fim"] == tokens | {"order": "psm"}
    assert ours["control"] == {"field": "mood", "form": "[mood: {value}]\n", "values": ["glad", "sad"]}
    assert damage_of_model(tmp_path / "model") is None
    loaded = tw.load(tmp_path / "model")
    assert loaded.prompt_format == KNOWN
    loaded.save(tmp_path / "again")
    assert read_prompt_format(tmp_path / "again") == KNOWN
    tiny().save(tmp_path / "plain")
    assert read_prompt_format(tmp_path / "plain") == PromptFormat()
    assert json.loads((tmp_path / "plain" / "textwright.json").read_text()).keys().isdisjoint({"fim", "control"})


def test_a_model_that_was_taught_before_there_was_an_order_reads_the_prefix_first(tmp_path: Path) -> None:
    tiny(KNOWN).save(tmp_path / "model")
    path = tmp_path / "model" / "textwright.json"
    told = json.loads(path.read_text())
    del told["fim"]["order"]
    path.write_text(json.dumps(told))
    assert tw.load(tmp_path / "model").prompt_format.fim == FillInMiddle(order="psm")


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("fim", {"prefix": "<a>", "middel": "<b>"}, "unknown key 'middel'.*did you mean 'middle'"),
        ("fim", ["<a>"], "fim = .*expected an object"),
        ("control", {"field": "mood", "form": "no place"}, r"a line with \{value\}"),
    ],
)
def test_a_record_that_was_changed_by_hand_is_checked(tmp_path: Path, part: str, value: Any, message: str) -> None:
    tiny(KNOWN).save(tmp_path / "model")
    path = tmp_path / "model" / "textwright.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: value}))
    with pytest.raises(InputError, match=message):
        tw.load(tmp_path / "model")


@pytest.mark.parametrize("order", ["psm", "spm"])
def test_a_taught_model_fills_in_what_the_suffix_says(order: Order) -> None:
    names = ("ann", "bob", "cid", "dan")
    texts = [f"{name} is here, {name}." for name in names] * 8
    known = FillInMiddle(order=order)
    middle = Middle(0, 3, known.ids(TOKENIZER))
    examples = [Example(text, Document("here"), middle=middle) for text in texts]
    model = tiny()
    tokens = ExampleTokens(examples, TOKENIZER, max_pair_tokens=64)
    learn(model, tokens, 50)
    model = tw.Model(model.network.eval(), TOKENIZER, prompt_format=PromptFormat(fim=known))
    for name in names:
        (found,) = model.complete([""], suffix=f" is here, {name}.", **GREEDY)
        assert (found.text, found.stop_reason) == (name, "eos")


def test_a_taught_model_writes_what_its_control_code_says() -> None:
    words = {"glad": "hurrah, hurrah", "sad": "alas and alack", "cross": "oh bother it"}
    examples = [Example(text, Document("here", None, mood)) for mood, text in words.items()] * 8
    model = taught(examples, 40, control="mood")
    for mood, text in words.items():
        assert model.generate("", control=mood, temperature=0, max_new_tokens=20) == text
        assert model.generate(text[:2], control=mood, temperature=0, max_new_tokens=20) == text[2:]
