"""Speculation changes the speed and nothing else."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.generation.conftest import make_model
from textwright.core.errors import InputError
from textwright.generation.generate import generate
from textwright.generation.request import SamplingConfig
from textwright.generation.speculative import Drafter, IncrementalScorer, ModelDrafter, PromptLookup, Speculation
from textwright.generation.text_index import TextIndex
from textwright.models.language_model import LanguageModel
from textwright.models.protocols import Cache
from textwright.tokens import Tokenizer

NUM_SAMPLES = 800
PROMPTS = ["The cat sat. The cat sat. The", "a", "", "x" * 40]


def drafters(model: LanguageModel, **changes: object) -> dict[str, Drafter]:
    like = make_model("gpt2", **changes)  # a model that often agrees: the same with a little noise
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in like.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    return {"model": ModelDrafter(like, 257), "itself": ModelDrafter(model, 257), "lookup": PromptLookup()}


@pytest.mark.parametrize("drafted", [1, 4])
@pytest.mark.parametrize("name", ["model", "itself", "lookup"])
def test_greedy_text_is_the_same_past_the_context_too(
    model: LanguageModel, tokenizer: Tokenizer, name: str, drafted: int
) -> None:
    sampling = SamplingConfig(max_new_tokens=50, temperature=0, repetition_penalty=1.2, stop=("\x00",))
    speculation = Speculation(drafters(model)[name], drafted)
    found = generate(model, tokenizer, PROMPTS, sampling, speculation=speculation)
    assert found == generate(model, tokenizer, PROMPTS, sampling)
    if name == "itself":
        assert speculation.acceptance_rate == 1


@pytest.mark.parametrize("name", ["model", "lookup"])
def test_samples_come_as_often_as_without_it(tokenizer: Tokenizer, name: str) -> None:
    """Pairs of tokens, by a chi-square test of two samples."""
    small, counts = make_model("gpt2", num_layers=1), []
    for speculation in (None, Speculation(drafters(small, num_layers=1)[name], 2)):
        sampling = SamplingConfig(max_new_tokens=3, temperature=1, top_k=3, n=NUM_SAMPLES, seed=0 if speculation else 1)
        found = generate(small, tokenizer, ["abcabcab"], sampling, speculation=speculation)
        counts.append(Counter(completion.token_ids for completion in found))
    kinds = [kind for kind in counts[0] | counts[1] if counts[0][kind] + counts[1][kind] >= 10]
    chi_square = sum((counts[0][k] - counts[1][k]) ** 2 / (counts[0][k] + counts[1][k]) for k in kinds)
    degrees = len(kinds) - 1
    assert degrees >= 5
    assert chi_square < degrees + 4 * (2 * degrees) ** 0.5, (chi_square, degrees)


def test_lookup_proposes_what_followed_the_longest_likeness() -> None:
    ids = [1, 2, 3, 9, 5, 2, 3, 8, 1, 2, 3]
    assert PromptLookup().draft(TextIndex(ids), 3, lambda *_: (0, torch.zeros(1))).ids == [9, 5, 2]
    assert PromptLookup().draft(TextIndex([1, 2, 3, 4, 5, 1]), 9, lambda *_: (0, torch.zeros(1))).ids == [2, 3]
    assert PromptLookup().draft(TextIndex([1, 2, 3]), 3, lambda *_: (0, torch.zeros(1))).ids == []


def test_a_draft_model_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(InputError, match="a draft model of 258 tokens for a tokenizer of 300"):
        ModelDrafter(make_model("gpt2", vocab_size=258), 300)


@pytest.mark.parametrize("name", ["model", "itself", "lookup"])
def test_what_is_guessed_meets_the_constraint_too(gpt2: LanguageModel, tokenizer: Tokenizer, name: str) -> None:
    for constraint in ({"choices": ("yes", "no, never")}, {"regex": "[ab]{3}(xy)+z"}):
        sampling = SamplingConfig.model_validate({"max_new_tokens": 30, "temperature": 0, **constraint})
        found = generate(gpt2, tokenizer, PROMPTS, sampling, speculation=Speculation(drafters(gpt2)[name]))
        assert found == generate(gpt2, tokenizer, PROMPTS, sampling)


@pytest.mark.parametrize("temperature", [0, 1])
def test_where_filters_leave_nothing_of_a_constraint_the_text_ends(
    gpt2: LanguageModel, tokenizer: Tokenizer, temperature: float
) -> None:
    sampling = SamplingConfig(choices=("abc",), bad_words=("c",), temperature=temperature)
    for drafter in drafters(gpt2).values():
        (found,) = generate(gpt2, tokenizer, ["abcab"], sampling, speculation=Speculation(drafter))
        assert (found.text, found.stop_reason) == ("ab", "constraint")


@pytest.mark.parametrize("search", [{"num_beams": 2}, {"penalty_alpha": 0.5}])
def test_a_search_does_not_guess(gpt2: LanguageModel, tokenizer: Tokenizer, search: dict[str, float]) -> None:
    sampling = SamplingConfig.model_validate({"max_new_tokens": 3, **search})
    with pytest.raises(InputError, match="guessing ahead with"):
        generate(gpt2, tokenizer, ["a"], sampling, speculation=Speculation(PromptLookup()))


class Counting:
    """A decoder that counts what it reads."""

    def __init__(self, model: LanguageModel) -> None:
        self._model, self.num_read = model, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def extend(self, ids: Tensor, lengths: Sequence[int], cache: Cache, slots: Sequence[int]) -> Tensor:
        """As the model does it."""
        self.num_read += sum(lengths)
        return self._model.extend(ids, lengths, cache, slots)


def test_a_text_is_read_once_however_often_it_is_drafted_after(gpt2: LanguageModel) -> None:
    decoder, ids = Counting(gpt2), [1, 2, 3, 4]
    scorer = IncrementalScorer(decoder, 257)
    with torch.inference_mode():
        scorer.logits(ids, start=0, drafted=[])
        assert decoder.num_read == 4
        first = scorer.logits(ids, start=0, drafted=[5, 6])
        assert decoder.num_read == 6
        ids += [5, 7]
        scorer.logits(ids, start=0, drafted=[])
        assert decoder.num_read == 7
        assert torch.allclose(scorer.logits(ids[:], start=1, drafted=[]), after(gpt2, ids[1:]), atol=1e-5)
        assert torch.allclose(first, after(gpt2, [1, 2, 3, 4, 5, 6]), atol=1e-5)


def test_a_scorer_that_was_interrupted_begins_again_where_it_was_certain(gpt2: LanguageModel) -> None:
    decoder, ids = Counting(gpt2), [1, 2]
    scorer = IncrementalScorer(decoder, 257)
    with torch.inference_mode():
        scorer.logits(ids, start=0, drafted=[3])
        decoder.extend = _interrupted_after(decoder.extend)  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            scorer.logits(ids, start=0, drafted=[4, 5])
        del decoder.extend
        found = scorer.logits(ids, start=0, drafted=[4, 5])
        assert torch.allclose(found, after(gpt2, [1, 2, 4, 5]), atol=1e-5)


def after(model: LanguageModel, ids: list[int]) -> Tensor:
    return model.logits(model.extend(torch.tensor([ids]), [len(ids)], model.empty_cache(1), [0])[0, -1:])


def _interrupted_after(extend: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> None:
        extend(*arguments)
        raise KeyboardInterrupt

    return run


def test_a_draft_model_stops_where_it_is_not_sure(gpt2: LanguageModel) -> None:
    for largest, expected in ((1.0, 7), (0.5, 5), (0.04, 1)):  # 0.5 to the fifth is the first below 0.05
        q = torch.zeros(257)
        q[9] = largest
        draft = ModelDrafter(gpt2, 257).draft(TextIndex([1, 2, 3]), 7, lambda *_, q=q: (9, q))
        assert draft.ids == [9] * expected
        assert len(draft.probabilities) == expected
