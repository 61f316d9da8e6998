"""Repetition: how much of a text it has said before."""

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.words import words_of

ORDER = 4


@final
class Repetition(Metric):
    """The share of a prediction's 4-grams that were in it before: the mean over predictions that have any."""

    figures = (Figure("repetition", 0, 1, False, "no prediction has four words"),)
    source = "Welleck et al. 2020: seq-rep-4"
    needs_references = False

    @property
    def signature(self) -> str:
        return f"n:{ORDER}|words:in lower case, characters in scripts without spaces"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        return np.array([_share(words_of(example.prediction)) for example in examples], dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return ratio(sums[..., :1], sums[..., 1:])


def _share(words: Sequence[str]) -> tuple[float, float]:
    """The share of 4-grams that come again, and whether there are any."""
    grams = list(zip(*(words[start:] for start in range(ORDER)), strict=False))
    return (1 - len(set(grams)) / len(grams), 1.0) if grams else (0.0, 0.0)
