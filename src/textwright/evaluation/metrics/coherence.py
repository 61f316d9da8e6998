"""Coherence: whether a reference model finds sentences likelier in their order than in another."""

from collections.abc import Callable, Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.words import sentences_of, writing_of

Scorer = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""The log-probability of each token of texts, in nats: ``generation.scoring.score`` with a model and its tokenizer."""


@final
class Coherence(Metric):
    """How often a prediction is likelier than the same sentences in another order; 0.5 is chance.

    Args:
        scorer: the reference model, held by whoever has it.
        num_shuffles: other orders that each prediction is compared with.
        seed: of the orders, which depend on the text too.
    """

    figures = (Figure("coherence", 0, 1, True, "no prediction has two different sentences"),)
    source = "Barzilay and Lapata 2008: pairs of a text and a shuffled one, told apart by a language model"
    needs_references = False

    def __init__(self, scorer: Scorer | None = None, *, num_shuffles: int = 5, seed: int = 0) -> None:
        self._scorer, self._num_shuffles, self._seed = scorer, num_shuffles, seed

    @property
    def signature(self) -> str:
        return f"model:the scorer's|shuffles:{self._num_shuffles}|seed:{self._seed}"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        if self._scorer is None:
            raise InputError("coherence without a reference model", fix="make the metric with one: Coherence(scorer)")
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
