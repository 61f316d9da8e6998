"""Two systems' predictions for the same examples, compared by metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Metric
from textwright.evaluation.metrics.catalog import METRICS, find_metric
from textwright.evaluation.predictions import Prediction
from textwright.evaluation.statistics.paired import Differences, Test, compare_paired, holm
from textwright.evaluation.statistics.resampling import clusters_of
from textwright.evaluation.statistics.seeds import compare_over_seeds
from textwright.evaluation.statistics.verdict import Verdict, describe, examples_needed, verdict_of

Systems = Sequence[Sequence[Prediction]]
"""What one system said, from each seed that it was trained from, in the same order of examples."""


@dataclass(frozen=True)
class Compared:
    """What a figure says of two systems; nothing but ``a``, ``b`` and ``difference`` where it cannot be tested."""

    a: float
    b: float
    difference: float
    """B's figure minus A's."""
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    """For all figures that are compared (Holm)."""
    verdict: Verdict | None
    """Of B beside A."""
    examples_needed: int | None
    """So many would tell a difference like this in four of five trials."""
    words: str
    """The verdict as a person says it."""


def compare_predictions(
    a: Systems,
    b: Systems,
    metrics: Mapping[str, Metric],
    *,
    test: Test = "randomisation",
    num_resamples: int = 10_000,
    seed: int = 0,
) -> dict[str, Compared]:
    """Every figure of metrics, by its name.

    Args:
        a: one system's predictions.
        b: the other's; all in the same order of examples.
        metrics: by their names.
        test: see ``compare_paired``; where there are several seeds, it is Student's t.
        num_resamples: of intervals and tests.
        seed: of both.

    Raises:
        InputError: examples that a metric cannot judge.
    """
    clusters = clusters_of([one.document for one in a[0]])
    found = list[tuple[str, Figure, Differences, int, str]]()
    for name, metric in metrics.items():
        differences = _differences(metric, a, b, clusters, test, num_resamples, seed)
        for place, figure in enumerate(metric.figures):
            is_taken = any(figure.name == other for other, *_ in found)
            shown = f"{name}/{figure.name}" if is_taken else figure.name
            found.append((shown, figure, differences, place, metric.reason))
    corrected = holm(np.array([differences.p[place] for _, _, differences, place, _ in found]))
    num_tests = max(1, int(np.sum(~np.isnan(corrected))))
    return {
        shown: _compared(figure, differences, place, float(p), num_tests, reason)
        for (shown, figure, differences, place, reason), p in zip(found, corrected, strict=True)
    }


def _differences(
    metric: Metric,
    a: Systems,
    b: Systems,
    clusters: Int[np.ndarray, " examples"],
    test: Test,
    num_resamples: int,
    seed: int,
) -> Differences:
    if not metric.is_additive:
        return _untested(metric, a, b)
    # All at once: what statistics there are may depend on all examples, as on all labels that occur.
    statistics = metric.measure([one.judged for system in (*a, *b) for one in system])
    by_seed = statistics.reshape(len(a) + len(b), -1, statistics.shape[1])
    of_a, of_b = by_seed[: len(a)], by_seed[len(a) :]
    if len(a) == len(b) == 1:
        return compare_paired(
            of_a[0], of_b[0], metric.values, clusters=clusters, test=test, num_resamples=num_resamples, seed=seed
        )
    return compare_over_seeds(of_a, of_b, metric.values, clusters=clusters, num_resamples=num_resamples, seed=seed)


def _untested(metric: Metric, a: Systems, b: Systems) -> Differences:
    """The figures alone; each file is measured for itself, since its texts may be compared with each other."""
    measured = ([metric.measure([one.judged for one in system]) for system in systems] for systems in (a, b))
    value_a, value_b = (
        np.mean([metric.values(statistics.sum(axis=0)) for statistics in systems], axis=0) for systems in measured
    )
    unknown = np.full_like(value_a, np.nan)
    return Differences(value_a, value_b, value_b - value_a, unknown, unknown, unknown, unknown, len(a[0]), len(a[0]))


def _compared(
    figure: Figure, differences: Differences, place: int, p_corrected: float, num_tests: int, reason: str
) -> Compared:
    difference, num_examples = float(differences.difference[place]), differences.num_examples
    verdict = verdict_of(difference, p_corrected, figure.higher_is_better)
    error = float(differences.standard_error[place])
    num_units = differences.num_units
    needed = examples_needed(difference, error, num_examples, num_units=num_units, num_tests=num_tests)
    words = describe(verdict, needed)
    return Compared(
        a=float(differences.a[place]),
        b=float(differences.b[place]),
        difference=difference,
        low=_known(differences.low[place]),
        high=_known(differences.high[place]),
        p=_known(differences.p[place]),
        p_corrected=_known(p_corrected),
        verdict=verdict,
        examples_needed=needed,
        words=f"{words}: {reason}" if verdict is None and reason else words,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def find_metrics(names: Sequence[str] | None, predictions: Sequence[Prediction]) -> dict[str, Metric]:
    """The metrics of names; without any, those that ask for details which the predictions hold.

    Raises:
        InputError: an unknown metric, or no name and no such details.
    """
    if names is not None:
        return {name.strip(): find_metric(name.strip()) for name in names}
    held = set.intersection(*({*one.judged.details} for one in predictions))
    kinds: dict[str, type[Metric]] = {name: METRICS.load(name) for name in METRICS}
    fitting = {name: kind() for name, kind in kinds.items() if kind.needs and held.issuperset(kind.needs)}
    if not fitting:
        what = "nothing in the predictions says which metrics fit"
        raise InputError(what, fix=f"name some with --metrics: {', '.join(sorted(METRICS))}")
    return fitting
