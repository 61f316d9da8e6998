"""What is known of a growing text is what counting anew would find, and no token is looked at twice."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.conftest import make_model, make_sequence
from textwright.generation.processors.catalog import apply_processors, make_processors
from textwright.generation.request import SamplingConfig
from textwright.generation.sequence import Sequence as Text
from textwright.generation.speculative import ModelDrafter, PromptLookup, Speculation
from textwright.generation.text_index import LONGEST_KEY, TextIndex
from textwright.generation.token_history import TokenHistory
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

BYTES = make_tokenizer("byte", lambda: iter(()))
FILTERED: list[dict[str, Any]] = [
    {"repetition_penalty": 1.7},
    {"presence_penalty": 0.6, "frequency_penalty": 0.3},
    {"no_repeat_ngram_size": 1},
    {"no_repeat_ngram_size": 2},
    {"no_repeat_ngram_size": 3},
    {"no_repeat_ngram_size": LONGEST_KEY + 2},
    {"bad_words": ("abc", "cab")},
]


def slow_last_likeness(ids: Sequence[int]) -> tuple[int, int]:
    """The reference: the whole text is looked through."""
    for length in range(min(3, len(ids) - 1), 0, -1):
        for place in range(len(ids) - length - 1, -1, -1):
            if ids[place : place + length] == ids[-length:]:
                return length, place + length
    return 0, 0


def slow_repeats(ids: Sequence[int], n: int) -> set[int]:
    """The same for n-grams."""
    end = ids[len(ids) - (n - 1) :]
    return {ids[place] for place in range(n - 1, len(ids)) if ids[place - (n - 1) : place] == end}


def slowly_filtered(logits: torch.Tensor, ids: list[int], num_prompt_ids: int, **sampling: Any) -> torch.Tensor:
    """The same for filters: one row, token by token of the vocabulary."""
    logits = logits.clone()
    text = bytes(ids)
    for token_id in range(256):
        if any(word.encode() in text[-2:] + bytes([token_id]) for word in sampling.get("bad_words", ())):
            logits[token_id] = -math.inf
    if "no_repeat_ngram_size" in sampling:
        logits[sorted(slow_repeats(ids, sampling["no_repeat_ngram_size"]))] = -math.inf
    penalty = sampling.get("repetition_penalty", 1.0)
    for token_id in set(ids):
        logits[token_id] = logits[token_id] * penalty if logits[token_id] < 0 else logits[token_id] / penalty
    counts = torch.tensor([float(ids[num_prompt_ids:].count(token_id)) for token_id in range(257)])
    return (
        logits - counts * sampling.get("frequency_penalty", 0.0) - (counts > 0) * sampling.get("presence_penalty", 0.0)
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data(), prompt=st.text("abc", min_size=1, max_size=40))
def test_however_texts_grow_and_fork_filters_and_lookup_find_what_counting_anew_finds(
    data: st.DataObject, prompt: str
) -> None:
    sampling = SamplingConfig(max_new_tokens=1000)
    rows = [make_sequence(prompt, BYTES, sampling)]
    texts = [list(prompt.encode())]
    letters = st.sampled_from(b"abc")
    for _ in range(data.draw(st.integers(1, 12))):
        which = data.draw(st.integers(0, len(rows) - 1))
        action = data.draw(st.sampled_from(["push", "fork", "ask"]))
        if action == "fork":
            rows.append(rows[which].fork())
            texts.append(texts[which].copy())
        elif action == "push":
            for token_id in data.draw(st.lists(letters, min_size=1, max_size=20)):
                rows[which].append(token_id, 0.0)
                texts[which].append(token_id)
        thought = data.draw(st.lists(letters, max_size=4))
        asked = data.draw(st.sampled_from(FILTERED))
        row, history = rows[which], rows[which].history
        for token_id in thought:
            history = history.followed_by(token_id, {BYTES.end_id}) or history
        together = [history, *(other.history for other in rows)]
        logits = torch.randn(len(together), 257, generator=torch.Generator().manual_seed(len(texts[which])))
        filters = make_processors(SamplingConfig.model_validate({"temperature": 0} | asked), BYTES)
        found = apply_processors(logits, filters, together)
        expected = [texts[which] + thought, *texts]
        for its, before, ids in zip(found, logits, expected, strict=True):
            assert torch.equal(its, slowly_filtered(before, ids, len(prompt), **asked))
        assert row.ids == texts[which]
        assert row.index.last_likeness() == slow_last_likeness(texts[which])


@settings(max_examples=40, deadline=None)
@given(ids=st.lists(st.integers(0, 2), max_size=60), n=st.integers(1, 30), more=st.lists(st.integers(0, 2), max_size=8))
def test_ngrams_of_any_length_are_found(ids: list[int], n: int, more: list[int]) -> None:
    index = TextIndex(ids.copy())
    assert set(TokenHistory(index).repeats(n)) == slow_repeats(ids, n)
    assert set(TokenHistory(index, tuple(more)).repeats(n)) == slow_repeats(ids + more, n)
    index.ids.extend(more)
    assert set(TokenHistory(index).repeats(n)) == slow_repeats(ids + more, n)


class Watched(list[int]):
    """Ids that count how many of them are looked at."""

    num_touched = 0

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        self.num_touched += len(found) if isinstance(place, slice) else 1
        return found

    def __iter__(self) -> Iterator[int]:
        for token_id in super().__iter__():
            self.num_touched += 1
            yield token_id

    def __reversed__(self) -> Iterator[int]:
        for token_id in super().__reversed__():
            self.num_touched += 1
            yield token_id

    def copy(self) -> list[int]:
        return list(self)


LONG, NUM_NEW = 2048, 40


def watched_row(tokenizer: Tokenizer, num_prompt_ids: int, sampling: SamplingConfig) -> Text:
    """Of a prompt without an end; of prompt and text each."""
    generator = torch.Generator().manual_seed(0)
    prompt = bytes(torch.randint(97, 123, (num_prompt_ids,), generator=generator).tolist()).decode()
    row = make_sequence(prompt, tokenizer, sampling)
    row.index.ids = Watched(row.ids)
    return row


@pytest.fixture(scope="module")
def long_model() -> LanguageModel:
    model = make_model("gpt2", context_length=LONG, num_layers=1)
    with torch.no_grad():
        model.head_weight[256] -= 100 * model.head_weight[:256].std()
    return model


@pytest.mark.parametrize("guesses", ["no", "lookup", "model"])
def test_a_token_costs_the_same_however_long_the_text_is(
    long_model: LanguageModel, tokenizer: Tokenizer, guesses: str
) -> None:
    """Counted in ids of the text that are looked at, not in seconds."""
    touched = []
    for num_prompt_ids in (200, 1800):
        sampling = SamplingConfig.model_validate(
            {"max_new_tokens": 2 * NUM_NEW, "temperature": 0, "logit_bias": {256: -100}, "stop": ("\x00\x01",)}
            | {name: value for values in FILTERED for name, value in values.items()}
            | {"no_repeat_ngram_size": 3}
        )
        row = watched_row(tokenizer, num_prompt_ids, sampling)
        ids = row.ids
        assert isinstance(ids, Watched)
        if guesses == "no":
            step = plain_step(row, make_processors(sampling, tokenizer))
        else:
            drafter = PromptLookup() if guesses == "lookup" else ModelDrafter(long_model, 257)
            step = speculative_step(long_model, row, Speculation(drafter))
        next(step), next(step)  # the prompt is read, and what is asked of it found
        ids.num_touched, before = 0, row.num_new_tokens
        while row.num_new_tokens < NUM_NEW:
            next(step)
        touched.append(ids.num_touched / (row.num_new_tokens - before))
    assert touched[1] < 1.3 * touched[0] < 1.3 * 40, touched


def plain_step(row: Text, processors: Sequence[Any]) -> Iterator[None]:
    generator = torch.Generator().manual_seed(1)
    while True:
        filtered = apply_processors(torch.randn(1, 257, generator=generator), processors, [row.history])
        row.append(int(filtered.argmax()), 0.0)
        yield


def speculative_step(model: LanguageModel, row: Text, speculation: Speculation) -> Iterator[None]:
    decoding, cache = speculation.decoding(row, 257), model.empty_cache(1)
    decoding.context_length = model.context_length
    decoding.begin([0], cache)
    with torch.inference_mode():
        hidden = model.extend(torch.tensor([list(row.ids)]), [len(row.ids)], cache, [0])[0, -1:]
        while True:
            decoding.advance([decoding], hidden, model)
            yield
            (read,) = decoding.reads()
            hidden = model.extend(torch.tensor([list(read.ids)]), [len(read.ids)], cache, [0])[0, -read.num_places :]


def test_what_nobody_asks_for_is_not_made(tokenizer: Tokenizer) -> None:
    row = watched_row(tokenizer, 500, SamplingConfig())
    ids = row.ids
    assert isinstance(ids, Watched)
    ids.num_touched = 0
    row.append(97, 0.0)
    assert ids.num_touched < 5  # those that the checks of types under test look at
