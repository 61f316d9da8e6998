"""Whether two systems differ, judged on the same examples.

::

    A's statistics [examples, k]   ──bootstrap over examples──>  interval of B's figure minus A's
    B's statistics [examples, k]   ──sides changed by chance──>  p: how often chance alone makes such a difference
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from textwright.evaluation.statistics.intervals import interval_of
from textwright.evaluation.statistics.resampling import (
    Values,
    bootstrap_values,
    left_out_values,
    sums_of_units,
    swapped_differences,
)

Test = Literal["randomisation", "bootstrap"]
ROUNDING = 1e-9
"""Differences so near, beside the figures themselves, are the same."""


@dataclass(frozen=True)
class Differences:
    """How two systems differ, figure by figure."""

    a: Float[np.ndarray, " figures"]
    b: Float[np.ndarray, " figures"]
    difference: Float[np.ndarray, " figures"]
    """B's figure minus A's."""
    low: Float[np.ndarray, " figures"]
    """The lower end of the difference's interval; NaN where there is none."""
    high: Float[np.ndarray, " figures"]
    p: Float[np.ndarray, " figures"]
    """How often such a difference, in either direction, would come by chance if the systems were alike; NaN where that
    cannot be said."""
    standard_error: Float[np.ndarray, " figures"]
    """Of the difference."""
    num_examples: int
    num_units: int
    """What is drawn as a whole: examples, or documents."""


def compare_paired(
    a: Float[np.ndarray, "examples k"],
    b: Float[np.ndarray, "examples k"],
    values: Values,
    *,
    clusters: Int[np.ndarray, " examples"] | None = None,
    test: Test = "randomisation",
    num_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Differences:
    """Compare two systems by a metric's statistics of the same examples, in the same order.

    Args:
        a: one system's statistics.
        b: the other's.
        values: figures of sums of them.
        clusters: the number of the document that each example is of: they are drawn, and change sides, as a whole.
        test: ``randomisation`` has examples change sides by chance, which is exact whatever the figure;
            ``bootstrap`` asks how often the difference of a resample is as far from their mean as ours is from 0.
        num_resamples: of the interval, and of the test.
        level: of the interval.
        seed: of both.

    Source: Noreen 1989 (randomisation), Koehn 2004 (paired bootstrap); 1 is added to both counts as in North, Curtis
    and Sham 2002, so that p is never 0.
    """
    units_a, units_b = sums_of_units(a, clusters), sums_of_units(b, clusters)
    num_statistics = a.shape[1]

    def difference_of(sums: np.ndarray) -> np.ndarray:
        return values(sums[..., num_statistics:]) - values(sums[..., :num_statistics])

    both = np.concatenate([units_a, units_b], axis=1)
    value_a, value_b = values(units_a.sum(axis=0)), values(units_b.sum(axis=0))
    difference, unknown = value_b - value_a, np.full_like(value_a, np.nan)
    if len(both) < 2:
        return Differences(value_a, value_b, difference, unknown, unknown, unknown, unknown, len(a), len(both))
    draws = bootstrap_values(both, difference_of, num_resamples, seed)
    low, high = interval_of(draws, difference, left_out_values(both, difference_of), level)
    if test == "randomisation":
        p = randomisation_p(units_a, units_b, values, num_resamples, seed)
    else:
        p = bootstrap_p(draws, difference, len(both))
    error = _of_known(np.std, draws) * np.sqrt(len(both) / (len(both) - 1))
    return Differences(value_a, value_b, difference, low, high, p, error, len(a), len(both))


def randomisation_p(
    a: Float[np.ndarray, "units k"], b: Float[np.ndarray, "units k"], values: Values, num_resamples: int, seed: int
) -> Float[np.ndarray, " figures"]:
    """How often a difference is as large as the one found after units have changed sides by chance."""
    value_a, value_b = values(a.sum(axis=0)), values(b.sum(axis=0))
    # Sums in another order may differ in their last digits.
    least = np.abs(value_b - value_a) - ROUNDING * (np.abs(value_a) + np.abs(value_b))
    return _share_as_large(swapped_differences(a, b, values, num_resamples, seed), least)


def bootstrap_p(
    draws: Float[np.ndarray, "resamples figures"], difference: Float[np.ndarray, " figures"], num_units: int
) -> Float[np.ndarray, " figures"]:
    """How often a resample's difference is as far from the mean of all as the one found is from 0; the deviation is an
    estimate, so it is Student's p of the same number of deviations."""
    deviations = (draws - _of_known(np.mean, draws)) * np.sqrt(num_units / (num_units - 1))
    normal = special.ndtri(_share_as_large(deviations, np.abs(difference)) / 2)
    return np.asarray(2 * special.stdtr(num_units - 1, normal))


def holm(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """The p-values of several tests, corrected so that one false alarm among all of them is as rare as in a single one.

    Tests without a p-value (NaN) do not count.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    corrected = np.full_like(p, np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return corrected


def _share_as_large(
    by_chance: Float[np.ndarray, "resamples figures"], least: Float[np.ndarray, " figures"]
) -> Float[np.ndarray, " figures"]:
    is_known = ~np.isnan(by_chance)
    as_large = np.sum(np.abs(by_chance) >= least, axis=0, where=is_known)
    return np.where(np.isnan(least), np.nan, (as_large + 1) / (is_known.sum(axis=0) + 1))


def _of_known(
    function: Callable[[np.ndarray], np.floating[Any]], draws: Float[np.ndarray, "resamples figures"]
) -> Float[np.ndarray, " figures"]:
    """A mean or a deviation of the resamples in which a figure has a meaning."""
    columns = (column[~np.isnan(column)] for column in draws.T)
    return np.array([function(column) if len(column) else np.nan for column in columns])
