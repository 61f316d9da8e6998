"""How far a figure may be from what it would be on all examples of its kind."""

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from textwright.evaluation.statistics.resampling import Values, bootstrap_values, left_out_values, sums_of_units

Interval = tuple[Float[np.ndarray, " figures"], Float[np.ndarray, " figures"]]


def bootstrap_interval(
    statistics: Float[np.ndarray, "examples k"],
    values: Values,
    *,
    clusters: Int[np.ndarray, " examples"] | None = None,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Between what a metric's figures lie, by bias-corrected and accelerated bootstrap.

    Args:
        statistics: of each example, as ``Metric.measure`` gives them.
        values: figures of sums of them, as ``Metric.values`` gives them.
        clusters: the number of the document that each example is of, where some are: they are drawn as a whole.
        num_resamples: how many. More make the ends steadier.
        level: how often intervals made so should hold the truth.
        seed: of the resamples.

    Returns:
        The lower and the upper end for each figure; NaN where it has no meaning, or there is one unit alone.

    Source: Efron 1987, "Better bootstrap confidence intervals"; quantiles are expanded for small samples as in
    Hesterberg 2015 (arXiv:1411.5279), section 4.3.
    """
    units = sums_of_units(statistics, clusters)
    point = values(units.sum(axis=0))
    if len(units) < 2:
        return np.full_like(point, np.nan), np.full_like(point, np.nan)
    draws = bootstrap_values(units, values, num_resamples, seed)
    return interval_of(draws, point, left_out_values(units, values), level)


def interval_of(
    draws: Float[np.ndarray, "resamples figures"],
    point: Float[np.ndarray, " figures"],
    left_out: Float[np.ndarray, "units figures"],
    level: float,
) -> Interval:
    """The interval that resamples, and the figures without each unit, make of each figure."""
    num_units = len(left_out)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    # A resample varies by (n - 1) / n of what a sample does, and a deviation of it is estimated: Student's t.
    normal = special.stdtrit(num_units - 1, tails) * np.sqrt(num_units / (num_units - 1))
    ends = np.full((2, len(point)), np.nan)
    for figure, value in enumerate(point):
        known = draws[~np.isnan(draws[:, figure]), figure]
        if np.isnan(value) or not len(known):
            continue
        below = (np.sum(known < value) + np.sum(known == value) / 2) / len(known)
        bias = special.ndtri(np.clip(below, 0.5 / len(known), 1 - 0.5 / len(known)))
        moved = bias + normal
        stretched = moved / np.maximum(1 - _acceleration(left_out[:, figure]) * moved, 1e-9)
        ends[:, figure] = np.quantile(known, special.ndtr(bias + stretched), method="weibull")
    return ends[0], ends[1]


def _acceleration(left_out: Float[np.ndarray, " units"]) -> float:
    """How fast a figure's deviation changes with the figure: a sixth of the skewness of what single units do to it."""
    known = left_out[~np.isnan(left_out)]
    if not len(known):
        return 0.0
    moves = known.mean() - known
    squares = float(np.sum(moves**2))
    return float(np.sum(moves**3)) / (6 * squares**1.5) if squares > 0 else 0.0
