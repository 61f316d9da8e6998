"""The 5-gram that models are held against is the published one, and a distribution."""

import math
from collections import Counter

import numpy as np
import pytest

from textwright.data.dataset import TokenDataset
from textwright.evaluation import token_n_gram
from textwright.evaluation.token_n_gram import DISCOUNT, TokenNGram, n_gram_bits_per_byte
from textwright.tokens import make_tokenizer

VOCAB = 7
RNG = np.random.default_rng(0)
TEXT = np.concatenate([RNG.integers(0, VOCAB - 1, 400), np.tile([1, 2, 3, 1, 2, 4], 9), [5, 5, 0]])


def reference(text: list[int], length: int) -> dict[tuple[int, ...], float]:
    """Probabilities of every token after every context of up to ``length`` - 1 tokens, sequence by sequence."""
    grams = [Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1)) for n in range(1, length + 1)]
    counts = [Counter(longer[1:] for longer in grams[n]) for n in range(1, length)] + [grams[-1]]
    found: dict[tuple[int, ...], float] = {}

    def discount(order: int, count: int) -> float:
        times = Counter(counts[order].values())
        if not all(times[k] for k in (1, 2, 3, 4)):
            return DISCOUNT if count else 0.0
        share = times[1] / (times[1] + 2 * times[2])
        k = min(count, 3)
        return min(max(0.0, k - (k + 1) * share * times[k + 1] / times[k]), k) if k else 0.0

    def probability(context: tuple[int, ...], token: int) -> float:
        shorter = probability(context[1:], token) if context else 1 / VOCAB
        if context and context not in grams[len(context) - 1]:
            return shorter
        after = {w: counts[len(context)][(*context, w)] for w in range(VOCAB)}
        total = sum(after.values())
        if not total:
            return shorter
        taken = sum(discount(len(context), count) for count in after.values())
        return (after[token] - discount(len(context), after[token])) / total + taken / total * shorter

    unseen = [context for context in ((6,), (6, 1), (1, 6)) if len(context) < length]
    for context in [(), *unseen, *(gram for n in range(length - 1) for gram in grams[n])]:
        for token in range(VOCAB):
            found[(*context, token)] = probability(context, token)
    return found


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_probabilities_are_the_published_ones_and_sum_to_one(length: int) -> None:
    model, expected = TokenNGram(TEXT, VOCAB, length), reference(TEXT.tolist(), length)
    for context in {sequence[:-1] for sequence in expected if len(sequence) > 1}:
        found = [math.exp(model.logprobs(np.array([*context, token]))[-1]) for token in range(VOCAB)]
        assert sum(found) == pytest.approx(1, abs=1e-12)
        if len(context) < length:
            np.testing.assert_allclose(found, [expected[*context, token] for token in range(VOCAB)], rtol=1e-12)


def test_longer_contexts_are_looked_at_as_far_as_they_are_counted() -> None:
    model = TokenNGram(TEXT, VOCAB, 3)
    long = model.logprobs(np.array([5, 4, 3, 1, 2, 4, 1]))
    short = [model.logprobs(np.array([5, 4, 3, 1, 2, 4, 1][max(0, i - 2) : i + 1]))[-1] for i in range(1, 7)]
    np.testing.assert_allclose(long, short, rtol=1e-12)


def test_a_text_that_was_counted_is_foreseen_better_than_another(monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = "the cat sat on the mat. " * 30, "colourless green ideas sleep furiously"
    tokenizer = make_tokenizer("byte", lambda: iter([known]))
    tokens = TokenDataset.from_texts([known], tokenizer)
    (name,), (bits,) = zip(*n_gram_bits_per_byte(tokens, ["the cat sat"], tokenizer).items(), strict=True)
    assert name == "5-gram of the same tokens"
    assert bits < 1.5
    assert n_gram_bits_per_byte(tokens, [other], tokenizer)[name] > 4
    assert n_gram_bits_per_byte(tokens, [], tokenizer) == {}
    monkeypatch.setattr(token_n_gram, "COUNTED_TOKENS", 100)
    assert list(n_gram_bits_per_byte(tokens, [other], tokenizer)) == ["5-gram of the first 100 tokens"]


@pytest.mark.parametrize("size", [0, 1, 2, 4])
def test_a_very_short_text_is_counted_too(size: int) -> None:
    found = TokenNGram(np.arange(size), VOCAB).logprobs(np.array([1, 2, 3]))
    assert np.isfinite(found).all()
