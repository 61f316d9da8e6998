"""Resamples of a metric's statistics, as sums: nothing is read or judged again.

::

    counts [resamples, units] @ statistics [units, k] --> sums [resamples, k] --values--> figures of each resample

A unit is what is drawn as a whole: an example, or all examples of a document. Resamples are made in blocks, so that
memory stays small whatever their number.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from textwright.core.errors import InputError

Values = Callable[[np.ndarray], np.ndarray]
"""The figures of sets of examples, from the sums of their statistics: ``Metric.values``."""
NUMBERS_AT_ONCE = 1 << 21


def clusters_of(documents: Sequence[str]) -> Int[np.ndarray, " examples"]:
    """The cluster of each example, a number: one for each document, and one for each example that names none."""
    named: dict[str, int] = {}
    found = [named.setdefault(name, place) if name else place for place, name in enumerate(documents)]
    return np.array(found, dtype=np.int64)


def sums_of_units(
    statistics: Float[np.ndarray, "examples k"], clusters: Int[np.ndarray, " examples"] | None
) -> Float[np.ndarray, "units k"]:
    """The statistics of what is drawn as a whole: those of the examples themselves where there are no clusters.

    Raises:
        InputError: no example.
    """
    if not len(statistics):
        raise InputError("no example", expected="at least one")
    if clusters is None:
        return statistics
    order = np.argsort(clusters, kind="stable")
    begins = np.flatnonzero(np.diff(clusters[order], prepend=clusters[order[0]] - 1))
    sums: np.ndarray = np.add.reduceat(statistics[order], begins)
    return sums


def bootstrap_values(
    units: Float[np.ndarray, "units k"], values: Values, num_resamples: int, seed: int
) -> Float[np.ndarray, "resamples figures"]:
    """The figures of resamples, each of as many units as there are, drawn with replacement."""
    rng, num_units = np.random.default_rng(seed), len(units)
    blocks = []
    for size in _blocks(num_resamples, units):
        drawn = rng.integers(0, num_units, (size, num_units)) + num_units * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_units).reshape(size, num_units)
        blocks.append(values(counts.astype(np.float64) @ units))
    return np.concatenate(blocks)


def left_out_values(units: Float[np.ndarray, "units k"], values: Values) -> Float[np.ndarray, "units figures"]:
    """The figures without one unit, for each."""
    total, blocks, begin = units.sum(axis=0), [], 0
    for size in _blocks(len(units), units):
        blocks.append(values(total - units[begin : begin + size]))
        begin += size
    return np.concatenate(blocks)


def swapped_differences(
    a: Float[np.ndarray, "units k"], b: Float[np.ndarray, "units k"], values: Values, num_resamples: int, seed: int
) -> Float[np.ndarray, "resamples figures"]:
    """B's figures minus A's, after each unit has changed sides with probability one half."""
    rng, moving, sum_a, sum_b = np.random.default_rng(seed), a - b, a.sum(axis=0), b.sum(axis=0)
    blocks = []
    for size in _blocks(num_resamples, a):
        coins = np.unpackbits(rng.integers(0, 256, (size, -(-len(a) // 8)), dtype=np.uint8), axis=1)[:, : len(a)]
        moved = coins.astype(np.float64) @ moving
        blocks.append(values(sum_b + moved) - values(sum_a - moved))
    return np.concatenate(blocks)


def _blocks(num_resamples: int, units: np.ndarray) -> Iterator[int]:
    """How many resamples are made at once, for each block of them."""
    size = max(1, NUMBERS_AT_ONCE // max(units.shape))
    for begin in range(0, num_resamples, size):
        yield min(size, num_resamples - begin)
