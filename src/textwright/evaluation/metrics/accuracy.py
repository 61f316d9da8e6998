"""Accuracy: how many predictions are what they should be."""

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio


@final
class Accuracy(Metric):
    """The share of predictions that are one of their references, to the letter but for white space around them."""

    figures = (Figure("accuracy", 0, 1, True),)
    source = "the share of exact matches"

    @property
    def signature(self) -> str:
        return "case:mixed|white space around:left out"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        right = [example.prediction.strip() in map(str.strip, example.references) for example in examples]
        return np.stack([np.array(right, dtype=np.float64), np.ones(len(examples))], axis=1)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return ratio(sums[..., :1], sums[..., 1:])
