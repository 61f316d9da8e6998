"""Copying: how much of what a model writes stands word for word in its training text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of
from textwright.evaluation.ngram_index import NgramIndex, longest_span
from textwright.evaluation.ratios import ratio
from textwright.text.read import read_texts


@final
class CopyRate(Metric):
    """The share of the predictions' 13-grams that are in a training text, and the longest span of such.

    Args:
        index: of the training text, made by whoever has it. Where it is one of token ids, those of each prediction are
            its detail ``token_ids``.
    """

    figures = (
        Figure("copy_rate", 0, 1, False, "no prediction is as long as one n-gram"),
        Figure("copied_span", 0, np.inf, False),
    )
    source = "n-grams in common with the training text, of 13 words as in Brown et al. 2020, appendix C"
    needs_references = False
    file = "a file or folder of the training text"

    def __init__(self, index: NgramIndex) -> None:
        self._index = index

    @classmethod
    def with_file(cls, file: Path) -> "CopyRate":
        """By the words of a file, or of a folder's files."""
        return cls(NgramIndex(read_texts([file])))

    @property
    def signature(self) -> str:
        return f"n:{self._index.n}|copied_span:mean of the longest of each"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = []
        for number, example in enumerate(examples, start=1):
            document = example.prediction if self._index.is_of_words is not False else _token_ids(example, number)
            occurs = self._index.occurs(document)
            rows.append((occurs.sum(), len(occurs), longest_span(occurs, self._index.n)[1], 1))
        return np.array(rows, dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return ratio(sums[..., [0, 2]], sums[..., [1, 3]])


def _token_ids(example: Judged, number: int) -> Sequence[int]:
    ids: Any = example.details.get("token_ids")
    if not isinstance(ids, list | tuple) or not all(isinstance(one, int) for one in ids):
        raise InputError("no list of 'token_ids'", where=place_of(number), expected="the ids of the prediction")
    return ids
