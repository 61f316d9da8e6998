"""Any system's predictions, judged by metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.statistics.intervals import bootstrap_interval
from textwright.evaluation.statistics.resampling import clusters_of


@dataclass(frozen=True)
class Scored:
    """A figure of all predictions."""

    figure: Figure
    value: float
    """NaN where it has no meaning: ``figure.undefined`` says why."""
    low: float | None
    """Of the interval that would hold the figure of all such examples in 95 of 100 samples like this; None where there
    is none: ``why_no_interval`` says why."""
    high: float | None
    why_no_interval: str
    num_examples: int
    signature: str
    """What the figure depends on: settings, program and version."""

    def as_json(self) -> dict[str, Any]:
        """By the names that others rely on."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.num_examples,
            "signature": self.signature,
        }


@dataclass(frozen=True)
class Judgement:
    """Figures of all predictions, and of each of them."""

    figures: dict[str, Scored]
    of_examples: dict[str, Float[np.ndarray, " examples"]]
    """By the figures' names, of each example by itself: NaN where it has none. Figures that are no sums over examples
    are not among them."""


def find_metrics(names: str) -> dict[str, Metric]:
    """Metrics by their names, with commas between.

    Raises:
        InputError: a name that is in no table, with the nearest that is.
    """
    return {name: find_metric(name) for name in dict.fromkeys(map(str.strip, names.split(",")))}


def score(
    examples: Sequence[Judged],
    metrics: Mapping[str, Metric],
    documents: Sequence[str] = (),
    *,
    num_resamples: int = 1000,
) -> dict[str, Scored]:
    """Every figure of metrics, by its name.

    Args:
        examples: predictions, with what the metrics judge them by.
        metrics: by their names.
        documents: of each example the document that it is of, where some are: intervals are over documents then.
        num_resamples: of the intervals; 0 makes none.

    Raises:
        InputError: an example that a metric cannot judge, by its place.
    """
    return judge(examples, metrics, documents, num_resamples=num_resamples).figures


def judge(
    examples: Sequence[Judged],
    metrics: Mapping[str, Metric],
    documents: Sequence[str] = (),
    *,
    num_resamples: int = 1000,
) -> Judgement:
    """The figures of all examples, as ``score`` has them, and those of each by itself.

    Raises:
        InputError: an example that a metric cannot judge, by its place.
    """
    clusters = clusters_of(documents) if any(documents) else None
    found: dict[str, Scored] = {}
    of_examples: dict[str, np.ndarray] = {}
    for metric in metrics.values():
        statistics = metric.measure(examples)
        values = metric.values(statistics.sum(axis=0))
        low, high, reason = _interval(metric, statistics, clusters, num_resamples)
        signature = _signature(metric, examples)
        alone = _of_each(metric, statistics)
        for place, figure in enumerate(metric.figures):
            ends = (_known(low[place]), _known(high[place]))
            found[figure.name] = Scored(figure, float(values[place]), *ends, reason, len(examples), signature)
            if alone is not None:
                of_examples[figure.name] = alone[:, place]
    return Judgement(found, of_examples)


def _of_each(metric: Metric, statistics: np.ndarray) -> np.ndarray | None:
    """The figures of each example by itself; None where an example has none."""
    if not metric.is_additive:
        return None
    with np.errstate(all="ignore"):  # of one example alone much is nothing of nothing
        return metric.values(statistics)


def _interval(
    metric: Metric, statistics: np.ndarray, clusters: np.ndarray | None, num_resamples: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """The ends for each figure, and why there are none."""
    none = np.full(len(metric.figures), np.nan)
    if not metric.is_additive or not num_resamples:
        return none, none, metric.reason or "no resamples were asked for"
    low, high = bootstrap_interval(statistics, metric.values, clusters=clusters, num_resamples=num_resamples)
    return low, high, ""


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _signature(metric: Metric, examples: Sequence[Judged]) -> str:
    """The metric's, with how many references an example has, as sacrebleu writes it."""
    if not metric.needs_references:
        return metric.signature
    numbers = {len(example.references) for example in examples}
    return f"nrefs:{numbers.pop() if len(numbers) == 1 else 'var'}|{metric.signature}"
