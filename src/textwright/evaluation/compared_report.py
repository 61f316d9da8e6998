"""Several evaluations of one task on one page: figures with intervals, verdicts, and where they differ most."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from textwright.core.errors import InputError
from textwright.core.words import counted
from textwright.evaluation.comparison import Compared, compare_predictions
from textwright.evaluation.evaluation_folder import EvaluationRecord
from textwright.evaluation.figures_table import interval, number
from textwright.evaluation.metrics.base import Metric
from textwright.evaluation.metrics.catalog import METRICS, find_metric
from textwright.evaluation.predictions import Prediction, in_order_of, prediction_of
from textwright.evaluation.report import SCALES, answer, asked, is_known
from textwright.evaluation.score import judge
from textwright.evaluation.shown_examples import rank_examples
from textwright.report.chart import Bar, bar_chart
from textwright.report.html import beside, grid, note, passage, said, section

NUM_SHOWN = 5
NUM_RESAMPLES = 10_000
"""As many as compare-scores takes, so that it says the same."""


def compared_evaluations_parts(records: Sequence[EvaluationRecord], names: Sequence[str]) -> list[str]:
    """The parts of a page of several evaluations of the same task.

    Args:
        records: the evaluations.
        names: of each, different ones.
    """
    task = records[0].task
    parts = [section(f"Figures of {task}", *_figures(records, names))]
    metrics, left_out = _metrics(records)
    told = f"Not compared, since they need a file: {', '.join(left_out)}." if left_out else ""
    predictions = [_predictions(record) for record in records]
    try:
        same = [predictions[0], *(in_order_of(predictions[0], other, "the evaluation") for other in predictions[1:])]
    except InputError as error:
        parts.append(section(f"Verdicts on {task}", lead=f"They did not judge the same examples, so none: {error}."))
        return parts
    if metrics:
        parts.append(section(f"Verdicts on {task}", *_verdicts(same, names, metrics), lead=told))
        parts += _examples(records, same, names, metrics)
    commands = (passage("", str(record.about.get("command", "unknown"))) for record in records)
    parts.append(section(f"To repeat the evaluations of {task}", *commands))
    return parts


def _figures(records: Sequence[EvaluationRecord], names: Sequence[str]) -> Iterator[str]:
    """A chart for those that share a scale, and a table of all."""
    figures = dict.fromkeys(name for record in records for name in record.figures)
    for low, high in SCALES:
        bars = [
            Bar(f"{figure}, {name}", one["value"], one["low"], one["high"], colour)
            for figure in figures
            for colour, (name, record) in enumerate(zip(names, records, strict=True))
            if (one := record.figures.get(figure)) is not None
            and (one["least"], one["most"]) == (low, high)
            and is_known(one)
        ]
        if bars:
            yield bar_chart(bars, x=f"from {low} to {high}, with 95 % intervals")
    rows = ((figure, *(_cell(record.figures.get(figure)) for record in records)) for figure in figures)
    num_examples = ("examples judged", *(f"{len(record.rows):,}" for record in records))
    yield grid(("figure", *names), [*rows, num_examples], long=names)


def _cell(one: Mapping[str, Any] | None) -> str:
    return "–" if one is None else f"{number(one['value'])} ({interval(one)})"


def _metrics(records: Sequence[EvaluationRecord]) -> tuple[dict[str, Metric], list[str]]:
    """The metrics that all were judged by, and the names of those that are left out: they need a file."""
    common = [name for name in records[0].about["metrics"] if all(name in one.about["metrics"] for one in records)]
    left_out = [name for name in common if "=" in name or name not in METRICS]
    return {name: find_metric(name) for name in common if name not in left_out}, left_out


def _predictions(record: EvaluationRecord) -> list[Prediction]:
    return [prediction_of(row, place, str(record.folder)) for place, row in enumerate(record.rows, start=1)]


def _verdicts(
    same: Sequence[Sequence[Prediction]], names: Sequence[str], metrics: Mapping[str, Metric]
) -> Iterator[str]:
    """What may be said of the second of each pair beside the first."""
    for a, b in itertools.combinations(range(len(same)), 2):
        found = compare_predictions([same[a]], [same[b]], metrics, num_resamples=NUM_RESAMPLES)
        columns = ("figure", "A", "B", "B - A", "95 % interval", "p", "verdict")
        num_examples = counted(len(same[a]), "example")
        yield (
            note(f"A: {names[a]}; B: {names[b]}")
            + grid(columns, (_row(name, one) for name, one in found.items()), long=("verdict",))
            + note(f"{num_examples}; p by approximate randomisation, corrected for all figures here (Holm).")
        )


def _row(name: str, one: Compared) -> tuple[str, ...]:
    ends = "–" if one.low is None or one.high is None else f"{one.low:+.4f} to {one.high:+.4f}"
    p = "–" if one.p_corrected is None else f"{one.p_corrected:.4f}"
    return name, number(one.a), number(one.b), f"{one.difference:+.4f}", ends, p, one.words


def _examples(
    records: Sequence[EvaluationRecord],
    same: Sequence[Sequence[Prediction]],
    names: Sequence[str],
    metrics: Mapping[str, Metric],
) -> list[str]:
    """The examples where they differ most, by the first figure that tells single examples apart."""
    judged = [judge([one.judged for one in system], metrics, num_resamples=0) for system in same]
    figures = {name: one.figure for name, one in judged[0].figures.items()}
    rankings = [rank_examples(figures, one.of_examples) for one in judged]
    figure = next((ranking.figure for ranking in rankings if ranking is not None), None)
    if figure is None:
        return []
    values = np.stack([one.of_examples[figure] for one in judged])
    reach = values.max(axis=0) - values.min(axis=0)  # NaN where one of them has none
    known = np.flatnonzero(np.isfinite(reach) & (reach > 0))
    if not len(known):
        return [section("Where they differ most", lead=f"{figure} of every single example is the same for all.")]
    chosen = known[np.argsort(-reach[known], kind="stable")][:NUM_SHOWN]
    how = f"The examples whose {figure}, each by itself, lies furthest apart; {len(known):,} of {len(reach):,} differ."
    by_id = [{row["id"]: row for row in record.rows} for record in records]
    cards = []
    for place in chosen.tolist():
        one = same[0][place].id
        rows = [rows_of_record[one] for rows_of_record in by_id]
        answers = (
            note(f"{name}: {figure} {number(float(value))}") + passage("", answer(row))
            for name, row, value in zip(names, rows, values[:, place], strict=True)
        )
        cards.append(note(one) + said(asked(rows[0])) + beside(answers))
    return [section("Where they differ most", *cards, lead=how)]
