"""chrF and chrF++: how many n-grams of characters, and of words, predictions and references have in common."""

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.chrf import CHRF

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.sacrebleu_statistics import sacrebleu_signature, sacrebleu_statistics
from textwright.evaluation.words import WRITINGS

BETA = 2
"""Recall counts so many times as much as precision."""


class _CharacterF(Metric):
    """As sacrebleu computes it; of several references the one counts that is nearest to the prediction."""

    word_order: ClassVar[int]

    @cached_property
    def _metric(self) -> CHRF:
        return CHRF(word_order=self.word_order, beta=BETA)

    @property
    def signature(self) -> str:
        return sacrebleu_signature(self._metric)

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        same = dict.fromkeys(WRITINGS, self._metric)
        return sacrebleu_statistics(same, [(one.prediction, one.references) for one in examples])

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
