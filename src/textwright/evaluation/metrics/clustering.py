"""Whether clusters are the classes that they should be, whatever either is called."""

from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of


@final
class Clustering(Metric):
    """Adjusted Rand index and normalised mutual information.

    The detail ``cluster`` is a number or a name; the first reference is the class.
    """

    figures = (
        Figure("adjusted_rand_index", -0.5, 1, True),
        Figure("normalised_mutual_information", 0, 1, True),
    )
    source = "Hubert and Arabie 1985; Strehl and Ghosh 2002, divided by the mean of both entropies"
    needs = ("cluster",)
    is_additive = False
    reason = "a resample holds examples twice, which are in one cluster without anybody's merit"

    @property
    def signature(self) -> str:
        return "average:arithmetic"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        for number, example in enumerate(examples, start=1):
            if not isinstance(example.details["cluster"], str | int):
                what = f"'cluster' is {type(example.details['cluster']).__name__}"
                raise InputError(what, where=place_of(number), expected="a number or a name")
        clusters = _numbered([example.details["cluster"] for example in examples])
        classes = _numbered([example.references[0].strip() for example in examples])
        table = np.zeros((clusters.max() + 1, classes.max() + 1))
        np.add.at(table, (clusters, classes), 1)
        figures = np.array([adjusted_rand_index(table), normalised_mutual_information(table)])
        return np.tile(figures / len(examples), (len(examples), 1))

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        # As many times a share of a figure is it but for rounding.
        lows, highs = ([figure.low for figure in self.figures], [figure.high for figure in self.figures])
        found: np.ndarray = np.clip(sums, lows, highs)
        return found


def adjusted_rand_index(table: Float[np.ndarray, "clusters classes"]) -> float:
    """How many pairs of examples are together in both, beyond what chance would have: 0, and 1 where all are.

    Args:
        table: how many examples are in each cluster and of each class.
    """
    together, by_cluster, by_class = (
        float((counts * (counts - 1) / 2).sum()) for counts in (table, table.sum(axis=1), table.sum(axis=0))
    )
    num_pairs = float(table.sum() * (table.sum() - 1) / 2)
    if by_cluster == by_class and by_cluster in (0, num_pairs):
        return 1.0  # all apart in both, or all together in both
    by_chance = by_cluster * by_class / num_pairs
    return (together - by_chance) / ((by_cluster + by_class) / 2 - by_chance)


def normalised_mutual_information(table: Float[np.ndarray, "clusters classes"]) -> float:
    """How much of the classes is known by the clusters: 0 for nothing, 1 for all.

    Args:
        table: how many examples are in each cluster and of each class.
    """
    of_both, of_clusters, of_classes = (
        _entropy(counts / table.sum()) for counts in (table.ravel(), table.sum(axis=1), table.sum(axis=0))
    )
    if of_clusters + of_classes == 0:
        return 1.0
    return 2 * (of_clusters + of_classes - of_both) / (of_clusters + of_classes)


def _entropy(shares: Float[np.ndarray, " places"]) -> float:
    some = shares[shares > 0]
    return -float((some * np.log(some)).sum())


def _numbered(names: Sequence[str | int]) -> np.ndarray:
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])
