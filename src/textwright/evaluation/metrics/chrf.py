"""chrF and chrF++: how many n-grams of characters, and of words, predictions and references have in common."""

import string
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from jaxtyping import Float, Int
from sacrebleu.metrics.chrf import CHRF

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.sacrebleu_statistics import sacrebleu_signature
from textwright.evaluation.shared_n_grams import shared_n_grams

BETA = 2
"""Recall counts so many times as much as precision."""
CHARACTER_ORDER = 6
_PUNCTUATION = frozenset(string.punctuation)


class _CharacterF(Metric):
    """As sacrebleu computes it; of several references the one counts that is nearest to the prediction."""

    word_order: ClassVar[int]

    @cached_property
    def _metric(self) -> CHRF:
        return CHRF(char_order=CHARACTER_ORDER, word_order=self.word_order, beta=BETA)

    @property
    def signature(self) -> str:
        return sacrebleu_signature(self._metric)

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        texts = [(one.prediction, *one.references) for one in examples]
        kinds = [shared_n_grams([["".join(text.split()) for text in some] for some in texts], CHARACTER_ORDER)]
        if self.word_order:
            kinds.append(shared_n_grams([[_words(text) for text in some] for some in texts], self.word_order))
        return _of_nearest(np.concatenate(kinds, axis=1), np.array([len(one.references) for one in examples]))

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        proposed, wanted, common = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
        is_known = (proposed > 0) & (wanted > 0)
        num_known = np.maximum(1, is_known.sum(axis=-1, keepdims=True))
        precision, recall = (
            np.where(is_known, ratio(common, whole), 0).sum(axis=-1, keepdims=True) / num_known
            for whole in (proposed, wanted)
        )
        score = ratio((1 + BETA**2) * precision * recall, BETA**2 * precision + recall)
        found: np.ndarray = np.minimum(100.0, 100 * np.nan_to_num(score))
        return found


@final
class ChrF(_CharacterF):
    """n-grams of one to six characters, white space left out: for all scripts alike."""

    figures = (Figure("chrf", 0, 100, True),)
    source = "Popović 2015; sacrebleu (Post 2018)"
    word_order = 0


@final
class ChrFPlusPlus(_CharacterF):
    """chrF with words and pairs of words, which are what stands between spaces: less use where there are none."""

    figures = (Figure("chrf++", 0, 100, True),)
    source = "Popović 2017; sacrebleu (Post 2018)"
    word_order = 2


def _of_nearest(
    counts: Int[np.ndarray, "references orders 3"], num_references: Int[np.ndarray, " examples"]
) -> Float[np.ndarray, "examples k"]:
    """What is counted of each example: with the reference of the highest F, of several such the first.

    As sacrebleu has it, a prediction's n-grams of an order of which the reference has none are not counted, and F is
    computed in the same order, so that rounding makes no other reference the nearest.
    """
    counts[..., 0] *= counts[..., 1] > 0
    is_known = (counts[..., 0] > 0) & (counts[..., 1] > 0)
    num_known = np.maximum(1, is_known.sum(axis=1))
    precision, recall = np.zeros(len(counts)), np.zeros(len(counts))
    for order in range(counts.shape[1]):
        proposed, wanted, common = counts[:, order].T
        precision += np.where(is_known[:, order], common / np.maximum(1, proposed), 0)
        recall += np.where(is_known[:, order], common / np.maximum(1, wanted), 0)
    precision, recall = precision / num_known, recall / num_known
    whole = BETA**2 * precision + recall
    score = 100 * ((1 + BETA**2) * precision * recall / np.where(whole > 0, whole, 1))
    begins = np.cumsum(num_references) - num_references
    is_highest = np.flatnonzero(score == np.repeat(np.maximum.reduceat(score, begins), num_references))
    nearest = counts[is_highest[np.searchsorted(is_highest, begins)]]
    found: np.ndarray = nearest.reshape(len(begins), -1).astype(np.float64)
    return found


def _words(text: str) -> list[str]:
    """What stands between spaces, a punctuation mark at its end, or else at its beginning, by itself."""
    found = list[str]()
    for word in text.split():
        if len(word) > 1 and word[-1] in _PUNCTUATION:
            found += (word[:-1], word[-1])
        elif len(word) > 1 and word[0] in _PUNCTUATION:
            found += (word[0], word[1:])
        else:
            found.append(word)
    return found
