"""Metrics of a few lines, to try on what is done with metrics."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric


class Accuracy(Metric):
    """How often the prediction is the first reference."""

    figures: ClassVar = (Figure("accuracy", 0, 1, higher_is_better=True),)
    source: ClassVar = "counted"

    @property
    def signature(self) -> str:
        return "equal texts"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        for place, one in enumerate(examples, start=1):
            if not one.references:
                raise InputError(f"example {place} has no reference")
        return np.array([[one.prediction == one.references[0], 1.0] for one in examples], dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return sums[..., :1] / sums[..., 1:]


class Errors(Accuracy):
    """How often it is not, and how long predictions are, which is neither good nor bad."""

    figures: ClassVar = (
        Figure("errors", 0, 1, higher_is_better=False),
        Figure("length", 0, float("inf"), higher_is_better=None),
    )

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        lengths = np.array([[len(one.prediction)] for one in examples], dtype=np.float64)
        return np.concatenate([super().measure(examples), lengths], axis=1)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return np.stack([1 - sums[..., 0] / sums[..., 1], sums[..., 2] / sums[..., 1]], axis=-1)


class Distinct(Metric):
    """How many predictions there are: no sum over examples."""

    figures: ClassVar = (Figure("distinct", 0, 1, higher_is_better=True),)
    source: ClassVar = "counted"
    needs: ClassVar = ("drawn",)
    is_additive: ClassVar = False
    reason: ClassVar = "texts are compared with each other"

    @property
    def signature(self) -> str:
        return "different texts"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        texts = [one.prediction for one in examples]
        rows = [[text not in texts[:place], 1.0] for place, text in enumerate(texts)]
        return np.array(rows, dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return sums[..., :1] / sums[..., 1:]


class BLEU(Metric):
    """Of one reference: sacrebleu's statistics and formula, without smoothing, which whole texts do not need."""

    figures: ClassVar = (Figure("bleu", 0, 100, higher_is_better=True),)
    source: ClassVar = "Papineni et al. 2002"

    @property
    def signature(self) -> str:
        return "sacrebleu, 13a"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        import sacrebleu

        texts = [one.prediction for one in examples]
        rows = sacrebleu.metrics.BLEU()._extract_corpus_statistics(texts, [[one.references[0] for one in examples]])
        return np.array(rows, dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        length, wanted, correct, total = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
        with np.errstate(divide="ignore"):
            precision = np.exp(np.log(correct / total).mean(axis=-1))
        return (100 * precision * np.exp(np.minimum(0, 1 - wanted / length)))[..., None]
