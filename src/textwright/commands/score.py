"""``textwright score``: judge the predictions of any system."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.evaluation.judged_files import read_judged
from textwright.evaluation.score import Scored, find_metrics
from textwright.evaluation.score import score as score_examples


@dataclass(frozen=True)
class ScoredFile(Result):
    """The figures by name, under ``metrics``."""

    figures: dict[str, Scored]

    def as_json(self) -> dict[str, Any]:
        return {"metrics": {name: _as_json(one) for name, one in self.figures.items()}}

    def show(self) -> None:
        out, notes = stdout_console(), stderr_console()
        for name, one in self.figures.items():
            is_known = one.value == one.value
            out.print(f"{name:34} {one.value:,.4f}" if is_known else f"{name:34} - ({one.figure.undefined})")
        first_of: dict[str, str] = {}
        for name, one in self.figures.items():
            if first_of.setdefault(one.signature, name) == name:
                notes.print(f"{name}: {one.signature}", soft_wrap=True)


def _as_json(one: Scored) -> dict[str, Any]:
    return {"value": one.value, "n": one.num_examples, "signature": one.signature}


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
    examples = read_judged(predictions, references, source)
    asking = [name for name, metric in chosen.items() if metric.needs_references]
    if asking and not any(example.references for example in examples):
        fix = "name files of them with --references, or give JSON lines with 'references'"
        raise InputError(f"--metrics {asking[0]} without references", where=str(predictions), fix=fix)
    return ScoredFile(score_examples(examples, chosen))
