"""Coherence: whether a reference model finds sentences likelier in their order than in another."""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.seeds import hash_u64
from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.reference_model import Scorer, scorer_of
from textwright.evaluation.words import sentences_of, writing_of


@final
class Coherence(Metric):
    """How often a prediction is likelier than the same sentences in another order; 0.5 is chance.

    Args:
        scorer: the reference model, held by whoever has it.
        name: the model's, for the signature.
        num_shuffles: other orders that each prediction is compared with.
        seed: of the orders, which depend on the text too.
    """

    figures = (Figure("coherence", 0, 1, True, "no prediction has two different sentences"),)
    source = "Barzilay and Lapata 2008: pairs of a text and a shuffled one, told apart by a language model"
    needs_references = False

    file = "the folder of a reference model"

    def __init__(self, scorer: Scorer, name: str = "the scorer's", *, num_shuffles: int = 5, seed: int = 0) -> None:
        self._scorer, self._name, self._num_shuffles, self._seed = scorer, name, num_shuffles, seed

    @classmethod
    def with_file(cls, file: Path) -> "Coherence":
        """By the model of a folder."""
        return cls(scorer_of(file), str(file))

    @property
    def signature(self) -> str:
        return f"model:{self._name}|shuffles:{self._num_shuffles}|seed:{self._seed}"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        orders = [self._orders(example.prediction) for example in examples]
        likelihoods = [sum(one) for one in self._scorer([text for texts in orders for text in texts])]
        rows, begin = np.zeros((len(examples), 2)), 0
        for row, texts in zip(rows, orders, strict=True):
            own, others = likelihoods[begin : begin + 1], likelihoods[begin + 1 : begin + len(texts)]
            row[:] = (sum((own[0] > other) + (own[0] == other) / 2 for other in others), len(others))
            begin += len(texts)
        return rows

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return ratio(sums[..., :1], sums[..., 1:])

    def _orders(self, text: str) -> list[str]:
        """The sentences of a text in their own order, and in others; nothing where there is no other."""
        sentences = sentences_of(text)
        if len(set(sentences)) < 2:
            return []
        between = " " if writing_of([text]) == "words" else ""
        own = between.join(sentences)
        rng, found = np.random.default_rng(hash_u64(self._seed, text)), [own]
        while len(found) <= self._num_shuffles:
            other = between.join(sentences[place] for place in rng.permutation(len(sentences)))
            if other != own:
                found.append(other)
        return found
