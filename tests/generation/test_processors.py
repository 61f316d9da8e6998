"""Filters do what their sources say: against transformers where it has them, and by their properties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.conftest import make_sequence
from textwright.core.errors import InputError
from textwright.generation.processors.catalog import apply_processors, make_processors
from textwright.generation.processors.repetition import block_repeated_ngrams, penalise_repetition
from textwright.generation.processors.truncation import (
    divide_by_temperature,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
)
from textwright.generation.request import SamplingConfig
from textwright.generation.sampling import sample_categorical
from textwright.generation.sequence import Sequence
from textwright.generation.text_index import TextIndex
from textwright.generation.token_history import TokenHistory
from textwright.tokens import Tokenizer, make_tokenizer

BYTES = make_tokenizer("byte", lambda: iter(()))
# Its tokens are pieces of words made of a, b, c and a character of two bytes, so that words are cut in many ways.
PIECES = make_tokenizer("bpe:300", lambda: iter(["abc cab aab éa bé abcabc caéb bca ébé cc aé " * 40]))
TOKENIZERS = {"byte": BYTES, "bpe": PIECES}
LOGITS = torch.randn(6, 97, generator=torch.Generator().manual_seed(0)) * 4
SEEN = torch.randint(0, 97, (6, 15), generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_filters_are_those_of_transformers() -> None:
    from transformers.generation import logits_process as theirs

    pairs = [
        (theirs.TemperatureLogitsWarper(0.6), divide_by_temperature(LOGITS, 0.6)),
        (theirs.TopKLogitsWarper(7), keep_top_k(LOGITS, 7)),
        (theirs.TopPLogitsWarper(0.83), keep_top_p(LOGITS, 0.83)),
        (theirs.MinPLogitsWarper(0.07), keep_min_p(LOGITS, 0.07)),
        (theirs.RepetitionPenaltyLogitsProcessor(1.7), penalise_repetition(LOGITS, SEEN, 1.7)),
        (theirs.TypicalLogitsWarper(0.2), keep_typical(LOGITS, 0.2)),
        (theirs.TypicalLogitsWarper(0.9), keep_typical(LOGITS, 0.9)),
    ]
    for warper, ours in pairs:
        expected = warper(SEEN, LOGITS.clone())
        torch.testing.assert_close(ours.softmax(-1), expected.softmax(-1), msg=type(warper).__name__)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 16])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_ngrams_are_ruled_out_as_in_transformers(n: int) -> None:
    from transformers.generation.logits_process import NoRepeatNGramLogitsProcessor

    texts = torch.randint(0, 3, (6, 15), generator=torch.Generator().manual_seed(n))
    expected = NoRepeatNGramLogitsProcessor(n)(texts, LOGITS.clone())
    rows = [TokenHistory(TextIndex(text)) for text in texts.tolist()]
    assert torch.equal(block_repeated_ngrams(LOGITS, rows, n, eos_id=96), expected)


def test_ngrams_spare_the_end_token_so_that_a_text_can_always_end() -> None:
    filtered = block_repeated_ngrams(torch.zeros(1, 3), [TokenHistory(TextIndex([2, 0, 1]))], 1, eos_id=2)
    assert filtered.tolist() == [[-math.inf, -math.inf, 0]]


# Apart by at least 2^-10: what differs by less than rounding is a tie once it is divided by a temperature.
apart = st.integers(-50 << 10, 50 << 10).map(lambda value: value / 1024)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(apart, min_size=2, max_size=30),
    temperature=st.floats(0.01, 10),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(0.01, 1),
    min_p=st.none() | st.floats(0.01, 1),
)
def test_whatever_is_asked_the_likeliest_stays_the_order_holds_and_probabilities_sum_to_one(
    values: list[float], temperature: float, top_k: int | None, top_p: float | None, min_p: float | None
) -> None:
    logits = torch.tensor([values])
    sampling = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    filtered = apply_processors(logits, make_processors(sampling, BYTES), [])
    assert math.isclose(float(filtered.softmax(-1).sum()), 1, abs_tol=1e-5)
    assert filtered[0, int(logits.argmax())] == filtered.max() > -math.inf
    kept = filtered[0] > -math.inf
    if not kept.all():
        assert logits[0][kept].min() >= logits[0][~kept].max()


def test_draws_come_as_often_as_their_probabilities_say() -> None:
    probabilities = torch.tensor([0.5, 0.25, 0.125, 0.125, 0.0]).repeat(4000, 1)
    ids = sample_categorical(probabilities, torch.rand(4000, generator=torch.Generator().manual_seed(0)).tolist())
    counts = ids.bincount(minlength=5).tolist()
    assert counts[4] == 0
    expected = [2000, 1000, 500, 500]
    assert sum((seen - due) ** 2 / due for seen, due in zip(counts, expected, strict=False)) < 16.3  # chi2, p = 0.001


def test_the_edges_of_the_random_number_hit_real_tokens() -> None:
    probabilities = torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]).repeat(3, 1)
    assert sample_categorical(probabilities, [0.0, 0.5, 1 - 2**-53]).tolist() == [1, 3, 3]


@settings(max_examples=100, deadline=None)
@given(values=st.lists(apart, min_size=2, max_size=30), p=st.floats(0.01, 1), banned=st.integers(0, 29))
def test_typical_tokens_are_the_nearest_to_the_entropy_and_as_many_as_p_asks_for(
    values: list[float], p: float, banned: int
) -> None:
    values[banned % len(values)] = -math.inf
    logits = torch.tensor([values])
    (kept,) = keep_typical(logits, p) > -math.inf
    probabilities = logits.double().softmax(-1)[0]
    surprise = -probabilities.log()
    distance = (surprise - torch.special.entr(probabilities).sum()).abs()
    assert kept.any()
    assert not kept[banned % len(values)]
    assert probabilities[kept].sum() >= p - 1e-5
    if not kept.all():
        assert distance[kept].max() <= distance[~kept].min() + 1e-4


def sequence_of(prompt: str, text: str, tokenizer: Tokenizer = BYTES, **sampling: object) -> Sequence:
    config = SamplingConfig.model_validate({"max_new_tokens": 1000} | sampling)
    sequence = make_sequence(prompt, tokenizer, config)
    for token_id in tokenizer.encode(text):
        sequence.append(token_id, 0.0)
    return sequence


def filtered_by(
    logits: torch.Tensor, sequences: list[Sequence], tokenizer: Tokenizer = BYTES, **sampling: object
) -> torch.Tensor:
    config = SamplingConfig.model_validate({"temperature": 0} | sampling)
    return apply_processors(logits, make_processors(config, tokenizer), [one.history for one in sequences])


def test_what_is_not_asked_for_is_not_there() -> None:
    assert make_processors(SamplingConfig(temperature=1), BYTES) == ()


def test_a_bias_is_added_to_its_tokens_alone() -> None:
    logits = torch.randn(2, 257, generator=torch.Generator().manual_seed(0))
    change = filtered_by(logits, [], logit_bias={3: 2.5, 256: -100}) - logits
    expected = torch.zeros(257)
    expected[3], expected[256] = 2.5, -100
    torch.testing.assert_close(change, expected.expand(2, -1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("token_id", [-1, 257])
def test_a_bias_for_what_is_no_token_is_refused(token_id: int) -> None:
    with pytest.raises(InputError, match=f"logit_bias for token {token_id}; expected ids of tokens, 0 to 256"):
        make_processors(SamplingConfig(logit_bias={token_id: 1.0}), BYTES)


@settings(max_examples=50, deadline=None)
@given(
    texts=st.lists(st.tuples(st.text("abc", min_size=1, max_size=9), st.text("abcd", max_size=9)), min_size=1),
    presence=st.floats(-100, 100),
    frequency=st.floats(-100, 100),
)
def test_penalties_count_what_was_written_and_not_the_prompt(
    texts: list[tuple[str, str]], presence: float, frequency: float
) -> None:
    rows = [sequence_of(prompt, written) for prompt, written in texts]
    found = filtered_by(torch.zeros(len(rows), 257), rows, presence_penalty=presence, frequency_penalty=frequency)
    for (_, written), logits in zip(texts, found.tolist(), strict=True):
        for letter in "abcde":
            count = written.count(letter)
            assert logits[ord(letter)] == pytest.approx(-count * frequency - (presence if count else 0), abs=1e-3)


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(
    prompt=st.text("abcé ", max_size=8),
    words=st.lists(st.text("abcé ", min_size=1, max_size=5), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
)
def test_banned_words_are_never_written_however_they_are_cut(
    kind: str, prompt: str, words: list[str], seed: int
) -> None:
    tokenizer = TOKENIZERS[kind]
    filters = make_processors(SamplingConfig(temperature=1, bad_words=tuple(words)), tokenizer)
    row = sequence_of(prompt, "", tokenizer)
    letters = [index for index, raw in enumerate(tokenizer.token_bytes) if raw and set(raw) <= set("abcé ".encode())]
    generator = torch.Generator().manual_seed(seed)
    for _ in range(60):
        logits = torch.full((1, tokenizer.vocab_size), -30.0)
        logits[0, letters] = torch.randn(len(letters), generator=generator)
        logits[0, tokenizer.end_id] = -20
        filtered = apply_processors(logits, filters, [row.history])
        assert filtered[0, tokenizer.end_id] == logits[0, tokenizer.end_id]
        row.append(int(sample_categorical(filtered.softmax(dim=-1), torch.rand(1, generator=generator).tolist())), 0.0)
        if not row.is_open:
            break
    before = b"".join(tokenizer.token_bytes[index] for index in row.ids[: row.num_prompt_ids])
    everything = b"".join(tokenizer.token_bytes[index] for index in row.ids)
    for word in words:
        start = max(0, len(before) - len(word.encode()) + 1)  # the prompt may hold it; what is written may not end it
        assert word.encode() not in everything[start:]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_only_tokens_that_would_write_a_banned_word_are_ruled_out(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    row = sequence_of("c", "ab", tokenizer)
    (filtered,) = filtered_by(torch.zeros(1, tokenizer.vocab_size), [row], tokenizer, bad_words=["abc", "bé", "ca"])
    for token_id, raw in enumerate(tokenizer.token_bytes):
        end = b"ab" + raw
        would = b"abc" in end or "bé".encode() in end or b"ca" in raw
        assert (filtered[token_id] == -math.inf) == would, raw


def test_a_row_of_which_everything_is_banned_ends() -> None:
    every_byte = tuple(chr(code) for code in range(128))
    row = sequence_of("a", "")
    logits = torch.zeros(1, 257)
    logits[0, 128:256] = -200  # no text of the model's
    logits[0, 256] = -100
    filtered = filtered_by(logits, [row], temperature=0.7, top_k=1, top_p=0.1, min_p=1, bad_words=every_byte)
    assert int(sample_categorical(filtered.softmax(dim=-1), [0.99])) == 256


@settings(max_examples=100, deadline=None)
@given(
    written=st.text("abc", max_size=8),
    seed=st.integers(0, 100),
    values=st.fixed_dictionaries(
        {"temperature": st.floats(0.01, 10)},
        optional={
            "top_k": st.integers(1, 300),
            "top_p": st.floats(0.01, 1),
            "min_p": st.floats(0.01, 1),
            "typical_p": st.floats(0.01, 1),
            "logit_bias": st.dictionaries(st.integers(0, 256), st.floats(-100, 100), max_size=4),
            "bad_words": st.lists(st.text("abc", min_size=1, max_size=3), max_size=3),
            "no_repeat_ngram_size": st.integers(1, 4),
            "repetition_penalty": st.floats(0.5, 100),
            "presence_penalty": st.floats(-100, 100),
            "frequency_penalty": st.floats(-100, 100),
        },
    ),
)
def test_all_filters_together_leave_a_token_and_probabilities_that_sum_to_one(
    written: str, seed: int, values: dict[str, object]
) -> None:
    logits = torch.randn(2, 257, generator=torch.Generator().manual_seed(seed)) * 5
    before = logits.clone()
    filtered = filtered_by(logits, [sequence_of("cab", written), sequence_of("", "")], **values)
    assert torch.equal(logits, before)  # a filter gives new logits
    assert (filtered.softmax(-1).sum(-1) - 1).abs().max() < 1e-5
    assert (filtered > -math.inf).any(dim=1).all()
