"""Distinct-n: how varied the words of all predictions are, taken together."""

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.words import words_of

ORDERS = (1, 2, 3)


@final
class DistinctN(Metric):
    """Different n-grams for each n-gram, over all predictions. More text has less variety: compare the same amounts."""

    figures = (
        Figure("distinct_1", 0, 1, True, "no prediction has a word"),
        Figure("distinct_2", 0, 1, True, "no prediction has two words"),
        Figure("distinct_3", 0, 1, True, "no prediction has three words"),
    )
    source = "Li et al. 2016"
    needs_references = False
    is_additive = False
    reason = "what is new in one text depends on all others"

    @property
    def signature(self) -> str:
        return "words:in lower case, characters in scripts without spaces"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        seen: list[set[tuple[str, ...]]] = [set() for _ in ORDERS]
        rows = np.zeros((len(examples), 2, len(ORDERS)))  # n-grams that none before had, and all
        for row, example in zip(rows, examples, strict=True):
            words = words_of(example.prediction)
            for place, n in enumerate(ORDERS):
                num_before = len(seen[place])
                seen[place].update(zip(*(words[start:] for start in range(n)), strict=False))
                row[:, place] = (len(seen[place]) - num_before, max(0, len(words) - n + 1))
        return rows.reshape(len(examples), -1)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        new, every = np.split(sums, 2, axis=-1)
        return ratio(new, every)
