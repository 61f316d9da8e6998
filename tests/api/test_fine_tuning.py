"""What ``fit`` makes of its options: strategies, adapters, longer contexts, new tokens, control codes, filling in."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import textwright as tw
from tests.api.test_runs_stay_resumable import interrupt_at, new_model, same
from textwright.core.errors import InputError
from textwright.data.fill_in_middle import FillInMiddle
from textwright.models.layers.low_rank import lora_state

TEXTS = ["The cat sat on the mat.", "The dog sat on the log, and the cat looked up at it.", "A bird sang."] * 4
HOW: dict[str, Any] = {"steps": 4, "batch_size": 2, "precision": "float32", "compile": False, "learning_rate": 0.01}
STRATEGIES = ("last", "head", "gradual:every=1", "lora:r=2,targets=query+down", "last@2 -> full")


def state_of(model: tw.Model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.network.state_dict().items()}


def logits_of(model: tw.Model) -> torch.Tensor:
    return model.logits([model.tokenizer.encode("The cat sat")])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategys_run_goes_on_bit_for_bit(strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_model().fit(TEXTS, out=tmp_path / "whole", strategy=strategy, quiet=True, **HOW)
    with monkeypatch.context() as patched:
        interrupt_at(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            new_model().fit(TEXTS, out=tmp_path / "run", strategy=strategy, quiet=True, **HOW)
    tw.resume(tmp_path / "run", quiet=True)
    assert same(tmp_path / "whole", tmp_path / "run")


def test_what_is_frozen_keeps_every_bit() -> None:
    model = new_model()
    before = state_of(model)
    report = model.fit(TEXTS, strategy="last", quiet=True, **HOW)
    after = state_of(model)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved
    assert all(name.startswith(("blocks.1.", "final_norm.")) for name in moved)
    assert report.trained_parameters == sum(
        value.numel() for name, value in after.items() if name.startswith(("blocks.1.", "final_norm."))
    )


def test_an_adapter_is_left_beside_a_plain_model(tmp_path: Path) -> None:
    new_model().save(tmp_path / "base")
    model = tw.load(tmp_path / "base")
    model.fit(TEXTS, out=tmp_path / "run", strategy="lora:r=2,alpha=8", quiet=True, **HOW)
    assert not lora_state(model.network)
    whole, adapted = (
        tw.load(tmp_path / "run" / "model"),
        tw.load(tmp_path / "base", adapter=tmp_path / "run" / "adapter"),
    )
    torch.testing.assert_close(logits_of(whole), logits_of(adapted), atol=1e-5, rtol=0)
    torch.testing.assert_close(logits_of(whole), logits_of(model), atol=1e-5, rtol=0)
    assert not torch.allclose(logits_of(whole), logits_of(tw.load(tmp_path / "base")), atol=1e-3)
    settings = json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(tmp_path / "base")


def test_the_head_is_parted_from_the_embedding(tmp_path: Path) -> None:
    model = new_model()
    embedding = state_of(model)["token_embedding.weight"]
    model.fit(TEXTS, out=tmp_path / "run", strategy="head", quiet=True, **HOW)
    found = tw.load(tmp_path / "run" / "model").network
    assert torch.equal(found.state_dict()["token_embedding.weight"], embedding)
    assert not torch.equal(found.head_weight, embedding)


def test_a_longer_context_and_new_tokens_come_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    how = HOW | {"context_length": 64, "add_tokens": ["cat", " mat"], "sequence_length": 64}
    model = new_model()
    old = model.tokenizer.vocab_size
    model.fit(TEXTS, out=tmp_path / "whole", quiet=True, **how)
    assert model.network.context_length == 64
    assert model.tokenizer.encode("cat mat") == [old, old + 1]
    again = tw.load(tmp_path / "whole" / "model")
    assert again.tokenizer.encode("cat mat") == [old, old + 1]
    torch.testing.assert_close(logits_of(again), logits_of(model))
    with monkeypatch.context() as patched:
        interrupt_at(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            new_model().fit(TEXTS, out=tmp_path / "run", quiet=True, **how)
    tw.resume(tmp_path / "run", quiet=True)
    assert same(tmp_path / "whole", tmp_path / "run")


def test_what_was_learned_of_prompts_is_in_the_folder(tmp_path: Path) -> None:
    rows = [{"text": text, "mood": ("calm", "merry")[number % 2]} for number, text in enumerate(TEXTS)]
    new_model().fit(rows, out=tmp_path / "run", fim=0.5, control="mood", quiet=True, **HOW)
    for folder in ("model", "base"):
        assert tw.load(tmp_path / "run" / folder).prompt_format.fim == FillInMiddle(order="spm")
    model = tw.load(tmp_path / "run" / "model")
    assert model.complete(["The"], suffix=" log.", control="merry", max_new_tokens=4)[0].num_tokens <= 4
    with pytest.raises(InputError, match="mery.*did you mean 'merry'"):
        model.complete(["The"], control="mery")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "lst"}, "unknown strategy 'lst'.*'last'"),
        ({"strategy": "last:9"}, "last:9 of a model of 2 blocks"),
        ({"strategy": "lora:targets=qury"}, "unknown target 'qury'.*'query'"),
        ({"strategy": "bitfit"}, "bias"),
        ({"strategy": "last", "parameter_plan": [{"rules": [{"pattern": "*"}]}]}, "a parameter_plan with a strategy"),
        ({"context_length": 8}, "a context of 8 tokens; expected at least 32"),
        ({"add_tokens": ["a", "a"]}, "'a'"),
        ({"control": "mood"}, "mood"),
        ({"speak_as": "Ann"}, "Ann"),
        ({"fim": 0.5, "speak_as": "Ann"}, "fim beside speak_as; expected one of them"),
        ({"layer_decay": 0}, "layer_decay = 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    model = new_model()
    before, vocabulary = state_of(model), model.tokenizer.vocab_size
    with pytest.raises(InputError, match=message) as caught:
        model.fit([{"text": text} for text in TEXTS], out=tmp_path / "run", quiet=True, **HOW | options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
    after = state_of(model)
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert model.tokenizer.vocab_size == vocabulary


PAIRS = [(f"{number} and {number} are", f" {2 * number}.") for number in range(10)]


def samples_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]


def test_samples_are_taken_of_what_is_held_out_before_anything_is_learned_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_model().fit(PAIRS[:8], validation=PAIRS[8:], out=tmp_path / "run", quiet=True, **HOW)
    found = samples_of(tmp_path / "run")
    assert [row["step"] for row in found] == [0, 2, 4]
    assert all(row["prompts"] == ["8 and 8 are", "9 and 9 are"] for row in found)
    assert all(
        text.startswith(prompt) for row in found for text, prompt in zip(row["texts"], row["prompts"], strict=True)
    )
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.count("<mark>8 and 8 are</mark>") == page.count("<mark>9 and 9 are</mark>") == 3
    with monkeypatch.context() as patched:
        interrupt_at(patched, 1)
        with pytest.raises(KeyboardInterrupt):
            new_model().fit(PAIRS[:8], validation=PAIRS[8:], out=tmp_path / "cut", quiet=True, **HOW)
    tw.resume(tmp_path / "cut", quiet=True)
    assert [row["texts"] for row in samples_of(tmp_path / "cut")] == [row["texts"] for row in found]


def test_samples_of_texts_go_on_from_their_beginnings_or_from_what_is_asked(tmp_path: Path) -> None:
    new_model().fit(TEXTS, out=tmp_path / "texts", quiet=True, **HOW)
    prompts = samples_of(tmp_path / "texts")[0]["prompts"]
    assert len(prompts) == 3
    assert all(any(text.startswith(prompt) for text in TEXTS) for prompt in prompts)
    new_model().fit(TEXTS, out=tmp_path / "asked", sample_prompts=("The bird",), quiet=True, **HOW)
    assert samples_of(tmp_path / "asked")[-1]["prompts"] == ["The bird"]


@pytest.mark.parametrize("options", [{"strategy": "lora:targets=atn"}, {"strategy": "bitfit"}, {"strategy": "last:9"}])
def test_a_strategy_that_does_not_fit_leaves_the_model_as_it_was(options: dict[str, Any]) -> None:
    model = new_model()
    before, size, context = state_of(model), model.tokenizer.vocab_size, model.network.context_length
    with pytest.raises(InputError):
        model.fit(TEXTS, quiet=True, context_length=64, add_tokens=["cat"], **options, **HOW)
    assert (model.tokenizer.vocab_size, model.network.context_length) == (size, context)
    assert all(torch.equal(value, before[name]) for name, value in state_of(model).items())
