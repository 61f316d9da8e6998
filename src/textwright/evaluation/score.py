"""Any system's predictions, judged by metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.metrics.catalog import find_metric


@dataclass(frozen=True)
class Scored:
    """A figure of all predictions."""

    figure: Figure
    value: float
    """NaN where it has no meaning: ``figure.undefined`` says why."""
    num_examples: int
    signature: str
    """What the figure depends on: settings, program and version."""


def find_metrics(names: str) -> dict[str, Metric]:
    """Metrics by their names, with commas between.

    Raises:
        InputError: a name that is in no table, with the nearest that is.
    """
    return {name: find_metric(name) for name in dict.fromkeys(map(str.strip, names.split(",")))}


def score(examples: Sequence[Judged], metrics: Mapping[str, Metric]) -> dict[str, Scored]:
    """Every figure of metrics, by its name.

    Args:
        examples: predictions, with what the metrics judge them by.
        metrics: by their names.

    Raises:
        InputError: an example that a metric cannot judge, by its place.
    """
    return {
        figure.name: Scored(figure, float(value), len(examples), _signature(metric, examples))
        for metric in metrics.values()
        for figure, value in zip(metric.figures, _figures(metric, examples), strict=True)
    }


def _figures(metric: Metric, examples: Sequence[Judged]) -> np.ndarray:
    return metric.values(metric.measure(examples).sum(axis=0))


def _signature(metric: Metric, examples: Sequence[Judged]) -> str:
    """The metric's, with how many references an example has, as sacrebleu writes it."""
    if not metric.needs_references:
        return metric.signature
    numbers = {len(example.references) for example in examples}
    return f"nrefs:{numbers.pop() if len(numbers) == 1 else 'var'}|{metric.signature}"
