"""Edit distance: how many characters must be changed until a prediction is its reference."""

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric


@final
class EditDistance(Metric):
    """Characters that are put in, left out or replaced, for each character of the longer of both texts.

    Of several references the nearest counts. A character is a Unicode code point: an accent by itself is one.
    """

    figures = (Figure("edit_distance", 0, 1, False),)
    source = "Levenshtein 1966"

    @property
    def signature(self) -> str:
        return "unit:characters|divided by:the longer text"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        return np.array([_nearest(example) for example in examples], dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        distance, length = sums[..., :1], sums[..., 1:]
        found: np.ndarray = np.divide(distance, length, out=np.zeros_like(distance), where=length > 0)
        return found


def _nearest(example: Judged) -> tuple[int, int]:
    """The distance to the nearest reference, and the length of the longer text."""
    said = example.prediction
    pairs = [(edit_distance(said, wanted), max(len(said), len(wanted))) for wanted in example.references]
    return min(pairs, key=lambda pair: pair[0] / max(1, pair[1]))


def edit_distance(one: str, other: str) -> int:
    """The least number of characters to put in, leave out or replace.

    A column of the table of distances is held as two whole numbers, a bit a row: where it rises by one, and where it
    falls. The next column is a few operations on them.

    Source: Myers 1999, "A fast bit-vector algorithm for approximate string matching", as in Hyyrö 2003.
    """
    if not one:
        return len(other)
    places: dict[str, int] = {}
    for place, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << place
    every, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    rises, falls, distance = every, 0, len(one)
    for character in other:
        equal = places.get(character, 0)
        diagonal = ((((equal & rises) + rises) ^ rises) | equal | falls) & every
        along_rises = falls | (every & ~(diagonal | rises))
        along_falls = rises & diagonal
        if along_rises & last:
            distance += 1
        elif along_falls & last:
            distance -= 1
        along_rises = (along_rises << 1 | 1) & every
        rises = (along_falls << 1 & every) | (every & ~(diagonal | along_rises))
        falls = along_rises & diagonal
    return distance
