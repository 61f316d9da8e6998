"""Systems that were trained several times, from several seeds: figures vary with the seed, and with the examples.

::

    statistics [seeds, examples, k] --> a figure a seed --> their mean
        variance of the mean = variance between seeds / seeds + variance over resampled examples

The parts are estimated from few seeds and many examples: Student's t, with the degrees of freedom of their sum.

Source: Satterthwaite 1946, "An approximate distribution of estimates of variance components".
"""

import numpy as np
from jaxtyping import Float, Int
from scipy import special

from textwright.core.errors import InputError
from textwright.evaluation.statistics.intervals import Interval
from textwright.evaluation.statistics.paired import Differences
from textwright.evaluation.statistics.resampling import Values, bootstrap_values, sums_of_units


def interval_over_seeds(
    statistics: Float[np.ndarray, "seeds examples k"],
    values: Values,
    *,
    clusters: Int[np.ndarray, " examples"] | None = None,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Between what the mean of a system's figures lies, for seeds and examples other than these.

    Args:
        statistics: of the same examples from each seed's model; two seeds at least.
        values: figures of sums of them.
        clusters: the number of the document that each example is of.
        num_resamples: of the examples.
        level: how often intervals made so should hold the truth.
        seed: of the resamples.
    """
    _check_seeds(len(statistics))
    figures = values(statistics.sum(axis=1))
    over_examples = _Part.of_examples([statistics], [1.0], values, clusters, num_resamples, seed)
    error, freedom = _sum([_Part.of_seeds(figures), over_examples])
    reach = special.stdtrit(freedom, (1 + level) / 2) * error
    return figures.mean(axis=0) - reach, figures.mean(axis=0) + reach


def compare_over_seeds(
    a: Float[np.ndarray, "seeds_a examples k"],
    b: Float[np.ndarray, "seeds_b examples k"],
    values: Values,
    *,
    clusters: Int[np.ndarray, " examples"] | None = None,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Differences:
    """Compare two systems of which one at least was trained from several seeds, on the same examples.

    What is said holds for other seeds of a system that has several; of a system of one seed it is said of that alone.

    Args:
        a: one system's statistics.
        b: the other's.
        values: figures of sums of them.
        clusters: the number of the document that each example is of.
        num_resamples: of the examples.
        level: of the interval.
        seed: of the resamples.
    """
    _check_seeds(max(len(a), len(b)))
    figures_a, figures_b = values(a.sum(axis=1)), values(b.sum(axis=1))
    parts = [_Part.of_examples([a, b], [-1.0, 1.0], values, clusters, num_resamples, seed)]
    parts += [_Part.of_seeds(figures) for figures in (figures_a, figures_b) if len(figures) > 1]
    error, freedom = _sum(parts)
    mean_a, mean_b = figures_a.mean(axis=0), figures_b.mean(axis=0)
    difference = mean_b - mean_a
    reach = special.stdtrit(freedom, (1 + level) / 2) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(difference == 0, 1.0, 2 * special.stdtr(freedom, -np.abs(difference / error)))
    num_units = a.shape[1] if clusters is None else len(np.unique(clusters))
    ends = (difference - reach, difference + reach)
    return Differences(mean_a, mean_b, difference, *ends, p, error, a.shape[1], num_units)


class _Part:
    """A part of a variance, for each figure, and the degrees of freedom that it was estimated with."""

    def __init__(self, variance: Float[np.ndarray, " figures"], freedom: int) -> None:
        self.variance, self.freedom = variance, freedom

    @classmethod
    def of_seeds(cls, figures: Float[np.ndarray, "seeds figures"]) -> "_Part":
        return cls(figures.var(axis=0, ddof=1) / len(figures), len(figures) - 1)

    @classmethod
    def of_examples(
        cls,
        systems: list[np.ndarray],
        signs: list[float],
        values: Values,
        clusters: Int[np.ndarray, " examples"] | None,
        num_resamples: int,
        seed: int,
    ) -> "_Part":
        """Of the systems' mean figures, added up with their signs."""
        num_examples, k = systems[0].shape[1:]
        columns = np.concatenate([one.transpose(1, 0, 2).reshape(num_examples, -1) for one in systems], axis=1)
        units = sums_of_units(columns, clusters)
        weights = np.concatenate([np.full(len(one), sign / len(one)) for one, sign in zip(systems, signs, strict=True)])

        def total_of(sums: np.ndarray) -> np.ndarray:
            # [resamples, systems' seeds, figures] --> [resamples, figures]
            total: np.ndarray = np.einsum("rsf,s->rf", values(sums.reshape(*sums.shape[:-1], -1, k)), weights)
            return total

        if len(units) < 2:
            raise InputError("one document alone", expected="two at least, to see how figures vary")
        draws = bootstrap_values(units, total_of, num_resamples, seed)
        return cls(draws.var(axis=0) * len(units) / (len(units) - 1), len(units) - 1)


def _sum(parts: list[_Part]) -> tuple[Float[np.ndarray, " figures"], Float[np.ndarray, " figures"]]:
    """The standard error that parts of a variance make together, and its degrees of freedom."""
    variance = np.sum([part.variance for part in parts], axis=0)
    spread = np.sum([part.variance**2 / part.freedom for part in parts], axis=0)
    least = min(part.freedom for part in parts)
    freedom = np.divide(variance**2, spread, out=np.full_like(variance, least), where=spread > 0)
    return np.sqrt(variance), freedom


def _check_seeds(number: int) -> None:
    if number < 2:
        raise InputError("one seed", expected="two at least", fix="without seeds, take the interval over examples")
