"""The n-gram predicts by its formula, learns as it goes, and its probabilities are such."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from textwright.evaluation.n_gram import DISCOUNT, LENGTH, AdaptiveNGram

TEXT = ("the cat sat on the mat, and the dog sat on the log; " * 3 + "the bird 床前明月光 sang. ").encode()


def slow_probability(seen: bytes, byte: int, length: int) -> float:
    """By the definition: every count is counted anew from all that was seen."""
    # The longest context counts how often; one that is shorter, after how many kinds of byte before it. At the
    # beginning, where there is none before, the place counts as a kind of its own.
    counts = [defaultdict(Counter) for _ in range(length)]
    for place, one in enumerate(seen):
        longest = min(place, length - 1)
        for size in range(longest, -1, -1):
            context = seen[place - size : place]
            is_new = one not in counts[size][context]
            counts[size][context][one] += 1
            if not is_new:
                break
    p = 1 / 256
    for size in range(min(len(seen), length - 1) + 1):
        found = counts[size].get(seen[len(seen) - size :])
        if found is None:
            break
        total = sum(found.values())
        p = max(found[byte] - DISCOUNT, 0) / total + DISCOUNT * len(found) / total * p
    return p


def kinds_before(seen: bytes, context: bytes, byte: int) -> int:
    """After how many different bytes a sequence was seen, its place at the very beginning being one more."""
    wanted = context + bytes([byte])
    places = [place for place in range(len(seen)) if seen.startswith(wanted, place)]
    return len({seen[place - 1 : place] for place in places})


@pytest.mark.parametrize("length", [1, 2, LENGTH])
def test_bits_are_those_of_the_definition(length: int) -> None:
    bits = AdaptiveNGram(length).bits(TEXT)
    slow = [-math.log2(slow_probability(TEXT[:place], byte, length)) for place, byte in enumerate(TEXT)]
    np.testing.assert_allclose(bits, slow)


def test_counts_of_shorter_contexts_are_kinds_of_longer_ones() -> None:
    model = AdaptiveNGram(3)
    model.bits(TEXT)
    for context in (b"", b"t", b" "):
        counts = model._tables[len(context)][int.from_bytes(context, "big")]
        for byte in set(TEXT):
            expected = kinds_before(TEXT, context, byte)
            assert counts.get(byte, 0) == expected, (context, byte)


def test_probabilities_sum_to_one_whatever_was_read() -> None:
    model = AdaptiveNGram()
    for part in (b"", b"a", TEXT, bytes(range(256)), b"the c"):
        model.bits(part)
        probabilities = model.probabilities()
        assert probabilities.sum() == pytest.approx(1)
        assert (probabilities > 0).all()


def test_it_begins_knowing_nothing_and_learns() -> None:
    model = AdaptiveNGram()
    first = model.bits(TEXT)
    assert first[0] == pytest.approx(8)
    again = model.bits(TEXT)
    assert again.mean() < 0.5 * first.mean()
    parts = AdaptiveNGram()
    np.testing.assert_allclose(np.concatenate([parts.bits(TEXT[:50]), parts.bits(TEXT[50:])]), first)
