"""Length: how many words predictions have, and how many their references."""

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.words import words_of


@final
class Length(Metric):
    """Words of a prediction, and for each word of its references: of several the one that is nearest in length."""

    figures = (
        Figure("length", 0, np.inf, None),
        Figure("length_ratio", 0, np.inf, None, "no reference has a word"),
    )
    source = "counts"

    @property
    def signature(self) -> str:
        return "words:characters in scripts without spaces"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        return np.array([(1.0, *_lengths(example)) for example in examples])

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return ratio(sums[..., [1, 1]], sums[..., [0, 2]])


def _lengths(example: Judged) -> tuple[float, float]:
    said = len(words_of(example.prediction))
    wanted = [len(words_of(text)) for text in example.references]
    # Of two that are as near, the shorter.
    return said, min(wanted, key=lambda length: (abs(length - said), length))
