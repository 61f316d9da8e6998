"""chrF's counts are sacrebleu's, each of them, whatever the texts are."""

import random

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF

import textwright.evaluation.shared_n_grams
from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.metrics.catalog import find_metric

ALPHABETS = ("ab ", "a b.,(!'\"", "aé\u0301 ß\u00a0\u2003北京\U0001f600", "\x1c\ud800x \n\x85")
KINDS = [("chrf", 0), ("chrf++", 2)]


def random_examples(seed: int, count: int) -> list[Judged]:
    rng = random.Random(seed)

    def text(alphabet: str) -> str:
        return "".join(rng.choices(alphabet, k=rng.choice((0, 1, 2, 3, 5, 6, 7, 20, 40))))

    def example(alphabet: str) -> Judged:
        texts = [text(alphabet) for _ in range(rng.randint(2, 6))]
        # Words that are put in another order, and the same reference twice: references that are equally near.
        texts += [" ".join(rng.sample(texts[0].split(), len(texts[0].split()))), texts[1]]
        return Judged(texts[0], tuple(texts[1:]))

    return [example(rng.choice(ALPHABETS)) for _ in range(count)]


def sacrebleus(examples: list[Judged], word_order: int) -> np.ndarray:
    num_references = max(len(one.references) for one in examples)
    files = [
        [one.references[number] if number < len(one.references) else None for one in examples]
        for number in range(num_references)
    ]
    said = [one.prediction for one in examples]
    return np.array(CHRF(word_order=word_order)._extract_corpus_statistics(said, files), dtype=np.float64)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "word_order"), KINDS)
def test_counts_of_random_texts_are_sacrebleus(name: str, word_order: int) -> None:
    examples = random_examples(0, 300)
    np.testing.assert_array_equal(find_metric(name).measure(examples), sacrebleus(examples, word_order))


@pytest.mark.parametrize(("name", "word_order"), KINDS)
def test_how_many_are_counted_in_one_go_changes_nothing(
    name: str, word_order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textwright.evaluation.shared_n_grams, "TOKENS_AT_ONCE", 200)
    examples = random_examples(1, 40)
    np.testing.assert_array_equal(find_metric(name).measure(examples), sacrebleus(examples, word_order))


@pytest.mark.parametrize(("name", "word_order"), KINDS)
def test_more_kinds_of_tokens_than_fit_into_16_bits(name: str, word_order: int) -> None:
    every = "".join(chr(point) for point in range(0x10000, 0x10000 + 65_600))
    examples = [Judged(f"{every} ab", (f"{every[::-1]} ab",)), *random_examples(2, 3)]
    np.testing.assert_array_equal(find_metric(name).measure(examples), sacrebleus(examples, word_order))


@pytest.mark.parametrize(("name", "word_order"), KINDS)
def test_of_references_that_are_equally_near_the_first_counts(name: str, word_order: int) -> None:
    # Nothing in common with either, whose lengths differ: which is taken shows in the sums.
    examples = [Judged("abc", ("xyzxyz", "xy")), Judged("abc", ("xy", "xyzxyz")), Judged("", ("", "a"))]
    np.testing.assert_array_equal(find_metric(name).measure(examples), sacrebleus(examples, word_order))
