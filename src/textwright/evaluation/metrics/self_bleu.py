"""Self-BLEU: how much predictions are like each other."""

from collections import Counter
from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.seeds import hash_u64
from textwright.evaluation.bleu_formula import MAX_ORDER, bleu_of
from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.words import words_of

Gram = tuple[str, ...]


@final
class SelfBleu(Metric):
    """The mean BLEU-4 of each prediction of a sample, with all others of it as references.

    Predictions of fewer than four words are left out. More predictions are more alike: compare the same numbers.

    Args:
        sample_size: predictions that are compared with each other.
        seed: of the sample, which depends on the texts and not on their order.
    """

    figures = (Figure("self_bleu", 0, 100, False, "fewer than two predictions have four words"),)
    source = "Zhu et al. 2018 (Texygen)"
    needs_references = False
    is_additive = False
    reason = "each prediction is compared with the others of one sample"

    def __init__(self, *, sample_size: int = 200, seed: int = 0) -> None:
        self._sample_size, self._seed = sample_size, seed

    @property
    def signature(self) -> str:
        words = "in lower case, characters in scripts without spaces"
        return f"sample:{self._sample_size}|seed:{self._seed}|smooth:exp|words:{words}"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = np.zeros((len(examples), 2))
        texts = {place: words_of(example.prediction) for place, example in enumerate(examples)}
        able = [place for place, words in texts.items() if len(words) >= MAX_ORDER]
        drawn = sorted(able, key=lambda place: hash_u64(self._seed, *texts[place]))[: self._sample_size]
        if len(drawn) > 1:
            rows[drawn, 0] = _each_with_the_others([texts[place] for place in drawn])
            rows[drawn, 1] = 1
        return rows

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return ratio(sums[..., :1], sums[..., 1:])


def _each_with_the_others(texts: Sequence[Sequence[str]]) -> Float[np.ndarray, " texts"]:
    """BLEU-4 of each text with all others as references."""
    counts = [Counter(_grams(words)) for words in texts]
    most = _most_of_all(counts)
    lengths = np.array([len(words) for words in texts])
    correct, total = np.zeros((len(texts), MAX_ORDER)), np.zeros((len(texts), MAX_ORDER))
    nearest = np.zeros(len(texts))
    for place, grams in enumerate(counts):
        for gram, count in grams.items():
            first, owner, second = most[gram]
            correct[place, len(gram) - 1] += min(count, second if owner == place else first)
            total[place, len(gram) - 1] += count
        others = np.delete(lengths, place)
        # Of two that are as near, the shorter.
        nearest[place] = min(others, key=lambda length: (abs(length - lengths[place]), length))
    return bleu_of(np.stack([lengths.astype(np.float64), nearest], axis=1), correct, total)[:, -1]


def _grams(words: Sequence[str]) -> list[Gram]:
    return [gram for n in range(1, MAX_ORDER + 1) for gram in zip(*(words[start:] for start in range(n)), strict=False)]


def _most_of_all(counts: Sequence[Counter[Gram]]) -> dict[Gram, tuple[int, int, int]]:
    """Of each n-gram: the most that a text has of it, which text that is, and the most that any other has."""
    most: dict[Gram, tuple[int, int, int]] = {}
    for place, grams in enumerate(counts):
        for gram, count in grams.items():
            first, owner, second = most.get(gram, (0, -1, 0))
            most[gram] = (count, place, first) if count > first else (first, owner, max(second, count))
    return most
