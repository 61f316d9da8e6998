"""Fluency: how likely predictions are to a reference model."""

import math
from collections.abc import Callable, Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio

Scorer = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""The log-probability of each token of texts, in nats: ``generation.scoring.score`` with a model and its tokenizer."""


@final
class Fluency(Metric):
    """The perplexity of predictions under a reference model; empty ones are left out.

    Dull text is fluent too: read it beside diversity.

    Args:
        scorer: the reference model, held by whoever has it.
    """

    figures = (
        Figure("fluency_perplexity", 1, np.inf, False, "no prediction has a token"),
        Figure("fluency_bits_per_character", 0, np.inf, False, "all predictions are empty"),
    )
    source = "the perplexity of a language model that wrote none of the predictions"
    needs_references = False

    def __init__(self, scorer: Scorer | None = None) -> None:
        self._scorer = scorer

    @property
    def signature(self) -> str:
        return "model:the scorer's"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        if self._scorer is None:
            fix = "make the metric with one: Fluency(scorer)"
            raise InputError("fluency without a reference model", fix=fix)
        texts = [example.prediction for example in examples]
        scores = iter(self._scorer([text for text in texts if text]))
        rows = []
        for text in texts:
            logprobs = next(scores) if text else []
            rows.append((-sum(logprobs), len(logprobs), len(text)))
        return np.array(rows, dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        nats = ratio(sums[..., :1], sums[..., 1:])
        with np.errstate(over="ignore"):
            return np.concatenate([np.exp(nats[..., :1]), nats[..., 1:] / math.log(2)], axis=-1)
