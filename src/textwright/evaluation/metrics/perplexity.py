"""Perplexity: how surprised a model is by a text, for each token, word, byte and character of it."""

import math
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of
from textwright.evaluation.ratios import ratio

LARGEST = 1e300
"""Sums of what is less are finite."""


@final
class Perplexity(Metric):
    """From the details ``logprob``, of the whole prediction in nats, and ``num_tokens``.

    Figures for each byte and character can be compared between tokenizers, those for each token cannot. Words are what
    stands between white space.
    """

    figures = (
        Figure("perplexity_per_token", 1, np.inf, False),
        Figure("perplexity_per_word", 1, np.inf, False, "no prediction has a word"),
        Figure("bits_per_byte", 0, np.inf, False, "all predictions are empty"),
        Figure("bits_per_character", 0, np.inf, False, "all predictions are empty"),
    )
    source = "Jelinek et al. 1977: exp of the cross-entropy"
    needs_references = False
    needs = ("logprob", "num_tokens")

    @property
    def signature(self) -> str:
        return "words:between white space|bytes:UTF-8|characters:code points"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = []
        for number, example in enumerate(examples, start=1):
            logprob, num_tokens = _checked(example.details["logprob"], example.details["num_tokens"], number)
            text = example.prediction
            rows.append((-logprob, num_tokens, len(text.split()), len(text.encode()), len(text)))
        return np.array(rows, dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        nats = ratio(sums[..., :1], sums[..., 1:])
        with np.errstate(over="ignore"):
            return np.concatenate([np.exp(nats[..., :2]), nats[..., 2:] / math.log(2)], axis=-1)


def _checked(logprob: Any, num_tokens: Any, number: int) -> tuple[float, int]:
    if isinstance(logprob, bool) or not isinstance(logprob, int | float) or not -LARGEST < logprob <= 0:
        raise InputError(f"'logprob' is {logprob!r}", where=place_of(number), expected="a number that is not above 0")
    if isinstance(num_tokens, bool) or not isinstance(num_tokens, int) or not 1 <= num_tokens < LARGEST:
        raise InputError(f"'num_tokens' is {num_tokens!r}", where=place_of(number), expected="1 or more")
    return float(logprob), num_tokens
