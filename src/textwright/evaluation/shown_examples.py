"""Which examples of an evaluation are shown: the best and the worst, each by its own figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from textwright.evaluation.metrics.base import Figure

MOST_TIES = 3
"""So many figures decide between examples that the first one does not tell apart."""
WANTED = "the probability of what was wanted"
LEAST_KNOWN = 0.5
"""Of a figure that examples are sorted by: of so many it must be known."""


@dataclass(frozen=True)
class Ranking:
    """Examples in the order of a figure that each has by itself."""

    figure: str
    ties: tuple[str, ...]
    """What decides where it is the same."""
    places: Int[np.ndarray, " known"]
    """Of the examples, the best first; those without the figure are left out."""
    values: Float[np.ndarray, " known"]


def rank_examples(
    figures: Mapping[str, Figure], of_examples: Mapping[str, Float[np.ndarray, " examples"]]
) -> Ranking | None:
    """The examples from best to worst, by the first figure that tells them apart; None where none does.

    Args:
        figures: by their names.
        of_examples: of each the values of examples, NaN where one has none.
    """
    telling = [name for name in of_examples if _tells(figures[name], of_examples[name])]
    if not telling:
        return None
    first, *others = telling[: MOST_TIES + 1]
    known = np.flatnonzero(np.isfinite(of_examples[first]))
    # The last key is the first to decide; where all are the same, the order of the examples stays.
    keys = [_worse(figures[name], of_examples[name][known]) for name in reversed([first, *others])]
    order = np.lexsort(keys)
    return Ranking(first, tuple(others), known[order], of_examples[first][known][order])


def wanted_probabilities(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Figure, Float[np.ndarray, " examples"]]]:
    """How probable the model found what it should have chosen, by the name of that figure; empty where it writes."""
    if not all(row.get("probabilities") and row["references"] for row in rows):
        return {}
    found = [max(row["probabilities"].get(text, 0.0) for text in row["references"]) for row in rows]
    return {WANTED: (Figure(WANTED, 0, 1, True), np.array(found))}


def best_and_worst(ranking: Ranking | None, places: Sequence[int], count: int) -> dict[str, Any]:
    """What is shown, as plain values; empty where nothing tells examples apart.

    Args:
        ranking: of the examples.
        places: theirs in their files.
        count: of the best, and of the worst, at most; an example is not among both.
    """
    if ranking is None:
        return {}
    count = min(count, len(ranking.places) // 2)
    ranked = [
        {"place": places[number], "value": float(value)}
        for number, value in zip(ranking.places.tolist(), ranking.values, strict=True)
    ]
    return {
        "figure": ranking.figure,
        "ties": list(ranking.ties),
        "num_known": len(ranked),
        "best": ranked[:count],
        "worst": ranked[::-1][:count],
    }


def _tells(figure: Figure, values: Float[np.ndarray, " examples"]) -> bool:
    known = values[np.isfinite(values)]
    is_known = len(known) >= max(2, LEAST_KNOWN * len(values))
    return figure.higher_is_better is not None and is_known and bool(np.ptp(known) > 0)


def _worse(figure: Figure, values: Float[np.ndarray, " known"]) -> Float[np.ndarray, " known"]:
    """The larger, the worse; an example without a value comes last."""
    return -values if figure.higher_is_better else values
