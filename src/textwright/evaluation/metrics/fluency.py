"""Fluency: how likely predictions are to a reference model."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.reference_model import Scorer, scorer_of


@final
class Fluency(Metric):
    """The perplexity of predictions under a reference model; empty ones are left out.

    Dull text is fluent too: read it beside diversity.

    Args:
        scorer: the reference model, held by whoever has it.
        name: the model's, for the signature.
    """

    figures = (
        Figure("fluency_perplexity", 1, np.inf, False, "no prediction has a token"),
        Figure("fluency_bits_per_character", 0, np.inf, False, "all predictions are empty"),
    )
    source = "the perplexity of a language model that wrote none of the predictions"
    needs_references = False

    file = "the folder of a reference model"

    def __init__(self, scorer: Scorer, name: str = "the scorer's") -> None:
        self._scorer, self._name = scorer, name

    @classmethod
    def with_file(cls, file: Path) -> "Fluency":
        """By the model of a folder."""
        return cls(scorer_of(file), str(file))

    @property
    def signature(self) -> str:
        return f"model:{self._name}"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
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
