"""``textwright score``: judge the predictions of any system."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.evaluation.figures_table import show_figures
from textwright.evaluation.predictions import read_predictions
from textwright.evaluation.score import Scored, find_metrics
from textwright.evaluation.score import score as score_examples


@dataclass(frozen=True)
class ScoredFile(Result):
    """The figures by name, under ``metrics``."""

    figures: dict[str, Scored]

    def as_json(self) -> dict[str, Any]:
        return {"metrics": {name: one.as_json() for name, one in self.figures.items()}}

    def show(self) -> None:
        show_figures(self.figures)


def score(
    *,
    predictions: Path,
    references: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = (),
    metrics: str,
    source: Path | None = None,
) -> ScoredFile:
    """Judge the predictions of any system.

    Parameters
    ----------
    predictions
        A file with a prediction on each line, or JSON lines (.jsonl) with prediction, references, source and whatever
        else metrics need.
    references
        Files with a reference on each line, in the predictions' order; several for several references.
    metrics
        Names with commas between, such as bleu,chrf,ter,rouge.
    source
        A file with what each prediction was made from on a line.
    """
    chosen = find_metrics(metrics)
    rows = read_predictions(predictions, references, source)
    examples = [row.judged for row in rows]
    asking = [name for name, metric in chosen.items() if metric.needs_references]
    if asking and not any(example.references for example in examples):
        fix = "name files of them with --references, or give JSON lines with 'references'"
        raise InputError(f"--metrics {asking[0]} without references", where=str(predictions), fix=fix)
    return ScoredFile(score_examples(examples, chosen, [row.document for row in rows]))
