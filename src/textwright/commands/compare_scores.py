"""``textwright compare-scores``: is one system better than another, on the same examples?"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Column, Table

from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.result import Result
from textwright.core.words import counted

if TYPE_CHECKING:
    from textwright.evaluation.comparison import Compared
    from textwright.evaluation.predictions import Prediction

COLUMNS = ("figure", "A", "B", "B - A", "95 % interval", "p", "verdict")


@dataclass(frozen=True)
class ComparedScores(Result):
    """Figures of two systems, with what may be said of the second beside the first."""

    metrics: "dict[str, Compared]"
    notes: list[str]
    """What to know of them."""

    def as_json(self) -> dict[str, Any]:
        rows = {name: asdict(row) for name, row in self.metrics.items()}
        return {"metrics": {name: {key: row[key] for key in row if key != "words"} for name, row in rows.items()}}

    def show(self) -> None:
        table = Table(*(Column(name, overflow="fold") for name in COLUMNS), box=None)
        for name, row in self.metrics.items():
            interval = "-" if row.low is None or row.high is None else f"{row.low:+.4f} to {row.high:+.4f}"
            p = "-" if row.p_corrected is None else f"{row.p_corrected:.4f}"
            figures = (f"{row.a:.4f}", f"{row.b:.4f}", f"{row.difference:+.4f}", interval, p)
            table.add_row(name, *figures, row.words)
        stdout_console().print(table)
        for note in self.notes:
            stderr_console().print(note)


def compare_scores(
    a: Path,
    b: Path,
    /,
    *,
    metrics: str | None = None,
    test: Literal["randomisation", "bootstrap"] = "randomisation",
    num_resamples: Annotated[int, Parameter(name="--num-resamples")] = 10_000,
    seed: int = 0,
) -> ComparedScores:
    """Say whether system B is better than system A, worse, or not distinguishable from it at this size.

    Parameters
    ----------
    a
        A's predictions: JSON lines with id, prediction, references, and what else metrics ask for. A folder of such
        files is a system trained from several seeds, a file each.
    b
        B's predictions for the same examples, matched by id.
    metrics
        By their names, with commas between them; not needed where the predictions hold what only some metrics ask for.
    test
        Where p comes from: approximate randomisation, or the paired bootstrap.
    num_resamples
        Resamples of the intervals, and of the test.
    seed
        Of the resamples.
    """
    from textwright.evaluation.comparison import compare_predictions, find_metrics

    if num_resamples < 100:
        raise InputError(f"--num-resamples {num_resamples}", expected="at least 100")
    systems_a, systems_b = _read(a, b)
    found = find_metrics(metrics.split(",") if metrics is not None else None, systems_a[0])
    compared = compare_predictions(systems_a, systems_b, found, test=test, num_resamples=num_resamples, seed=seed)
    return ComparedScores(compared, _notes(systems_a, systems_b, test, num_resamples, compared))


def _read(a: Path, b: Path) -> "tuple[list[list[Prediction]], list[list[Prediction]]]":
    """Both systems' predictions, of each seed, in the order of the first file."""
    from textwright.evaluation.predictions import find_prediction_files, in_order_of, read_predictions

    of_a, of_b = find_prediction_files(a), find_prediction_files(b)
    for path in of_b:
        if path.exists() and any(other.exists() and path.samefile(other) for other in of_a):
            raise InputError(f"{path} is on both sides", expected="predictions of two systems")
    first = read_predictions(of_a[0])
    rest_of_a, all_of_b = (
        [in_order_of(first, read_predictions(path), str(path)) for path in paths] for paths in (of_a[1:], of_b)
    )
    return [first, *rest_of_a], all_of_b


def _notes(
    a: "list[list[Prediction]]", b: "list[list[Prediction]]", test: str, num_resamples: int, rows: "dict[str, Compared]"
) -> list[str]:
    documents = {one.document or f"\0{one.id}" for one in a[0]}
    several = f" in {counted(len(documents), 'document')}" if len(documents) < len(a[0]) else ""
    how = f"{'approximate ' if test == 'randomisation' else 'paired '}{test}, {num_resamples:,} resamples"
    if len(a) + len(b) > 2:
        how = f"Student's t over {len(a)} and {len(b)} seeds"
    tested = sum(row.p is not None for row in rows.values())
    return [f"{counted(len(a[0]), 'example')}{several}; p by {how}, corrected for {counted(tested, 'figure')} (Holm)"]
