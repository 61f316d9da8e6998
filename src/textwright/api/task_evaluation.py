"""A model put to a task: predictions that are kept as they come, and the figures of the task's metrics."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from textwright.api.evaluation_facts import facts_of_evaluation
from textwright.api.given import given_names, given_paths
from textwright.api.model import Model
from textwright.core.config import read_config
from textwright.core.errors import InputError
from textwright.core.files import sha256_file
from textwright.core.kinds import checks_kinds
from textwright.core.progress import bar
from textwright.core.user_paths import given_path
from textwright.engines.config import EngineConfig
from textwright.evaluation.evaluation_folder import PREDICTIONS, REPORT, Predictions, read_evaluation
from textwright.evaluation.figures_table import as_plain
from textwright.evaluation.metrics.base import Metric
from textwright.evaluation.predict import LongerThanContextError, Placed, Predictor, Row, sampling_of
from textwright.evaluation.predictions import prediction_of
from textwright.evaluation.report import write_evaluation_report
from textwright.evaluation.sandbox import Sandbox
from textwright.evaluation.score import Judgement, Scored, find_metrics, judge
from textwright.evaluation.shown_examples import best_and_worst, rank_examples, wanted_probabilities
from textwright.generation.request import SamplingConfig
from textwright.tasks.base import Task
from textwright.tasks.catalog import find_task

NUM_SHOWN = 5
"""Of the best examples, and of the worst, in a report."""


@dataclass(frozen=True)
class TaskReport:
    """How well a model does a task."""

    task: str
    figures: dict[str, Scored]
    """By their names, the one that matters first."""
    num_examples: int
    """That were judged."""
    num_skipped: int
    """Left out, as the model could not see them whole."""
    folder: Path
    """Where the predictions are."""
    seconds: float
    """Of this call, without those before it was interrupted."""
    num_tokens: int
    """That the model wrote in this call."""

    @property
    def page(self) -> Path:
        """The report, for a browser."""
        return self.folder / REPORT

    def as_json(self) -> dict[str, Any]:
        """By the names that others rely on."""
        return {
            "task": self.task,
            "metrics": {name: one.as_json() for name, one in self.figures.items()},
            "num_examples": self.num_examples,
            "num_skipped": self.num_skipped,
            "predictions": str(self.folder / PREDICTIONS),
            "report": str(self.page),
        }


@checks_kinds
def evaluate_task(
    model: Model,
    task: str | Path | Task,
    data: Sequence[Path | str] | Path | str,
    *,
    out: Path | str,
    metrics: Sequence[str] | None = None,
    limit: int | None = None,
    skip_long: bool = False,
    trust_code: bool = False,
    engine: EngineConfig | None = None,
    quiet: bool = False,
    **sampling: Any,
) -> TaskReport:
    """Put the examples of files to a model, and judge what it says.

    One that was killed goes on where it was when it is called again with the same arguments.

    Args:
        model: writes the answers, or chooses among the options.
        task: its name, a TOML file, or an object of your own.
        data: files of examples.
        out: a new folder for the predictions and their report, or that of the same evaluation.
        metrics: instead of the task's own.
        limit: judge so many examples, the first ones.
        skip_long: leave examples out that are longer than the context; otherwise they are an error.
        trust_code: of a task whose answers are programs, run them where nothing can hold them in.
        engine: what computes, and how exactly.
        quiet: show no progress.
        **sampling: the fields of ``SamplingConfig``, where they are not as the task has them; greedy without any.

    Raises:
        InputError: an unknown task or metric, files without examples or of another form, an example that is longer than
            the context, or a folder of another evaluation.
    """
    begun_s = time.monotonic()
    chosen = task if isinstance(task, Task) else find_task(str(task))
    chosen_metrics = find_metrics(",".join(given_names(metrics, "metrics") if metrics is not None else chosen.metrics))
    paths = given_paths(data, "data")
    config = read_config(SamplingConfig, sampling_of(chosen, sampling), "the arguments of evaluate_task")
    engine = engine or EngineConfig()
    sandbox = Sandbox(trusts_code=trust_code) if chosen.runs_code else None
    predictor = Predictor(model.decoder(engine), model.tokenizer, chosen, config, sandbox)
    kept, num_skipped = _fitting(predictor, chosen, paths, limit, skips=skip_long)
    found = [(path, _hash_of(path)) for path in paths]
    settings = {
        "model": fingerprint_of(model),
        "task": chosen.name,
        "data": [sha256 for _, sha256 in found],
        "sampling": config.model_dump(mode="json"),
        "engine": engine.model_dump(mode="json"),
    }
    given = {"metrics": metrics, "limit": limit, "skip_long": skip_long, "trust_code": trust_code} | sampling
    about = facts_of_evaluation(model, task, chosen, found, metrics=[*chosen_metrics], given=given, engine=engine)
    predictions = Predictions(Path(out), settings, about)
    _check_are_the_same(predictions, kept)
    num_tokens = _predict(predictor, predictions, kept, quiet=quiet)
    figures = _judged(predictions, kept, chosen_metrics, num_skipped)
    seconds = time.monotonic() - begun_s
    return TaskReport(chosen.name, figures, len(kept), num_skipped, predictions.folder, seconds, num_tokens)


def _judged(
    predictions: Predictions, kept: Sequence[Placed], metrics: Mapping[str, Metric], num_skipped: int
) -> dict[str, Scored]:
    """The figures of what was said to these examples, written down with the page that shows them."""
    rows = _rows_of(predictions, kept)
    judged = [prediction_of(row, place, f"{predictions.path}:{place}") for place, row in enumerate(rows, start=1)]
    judgement = judge([one.judged for one in judged], metrics, [one.document for one in judged])
    _report(predictions, judgement, rows, num_skipped)
    return judgement.figures


def _report(predictions: Predictions, judgement: Judgement, rows: Sequence[Row], num_skipped: int) -> None:
    """Write down what the evaluation came to, and the page that shows it."""
    figures, values = {name: one.figure for name, one in judgement.figures.items()}, dict(judgement.of_examples)
    for name, (figure, found) in wanted_probabilities(rows).items():  # before all but the first
        figures[name], values = figure, dict([*list(values.items())[:1], (name, found), *list(values.items())[1:]])
    ranking = rank_examples(figures, values)
    predictions.remember(
        {
            "num_skipped": num_skipped,
            "figures": {name: as_plain(one) for name, one in judgement.figures.items()},
            "examples": best_and_worst(ranking, [int(row["place"]) for row in rows], NUM_SHOWN),
        }
    )
    write_evaluation_report(read_evaluation(predictions.folder))


def _check_are_the_same(predictions: Predictions, kept: Sequence[Placed]) -> None:
    """See that what is done already was asked as it would be now: a task's file may have been changed since."""
    asked = {placed.place: (placed.example.prompt, list(placed.example.references)) for placed in kept}
    for row in predictions.rows():
        if row["place"] in asked and (row["prompt"], row["references"]) != asked[row["place"]]:
            raise InputError(
                f"{predictions.folder} holds an evaluation with another prompt or reference of {row['id']}",
                fix="give another --out, or delete the folder",
            )


def _rows_of(predictions: Predictions, kept: Sequence[Placed]) -> list[dict[str, Any]]:
    """The rows of these examples: there may be more, of a call without a limit."""
    wanted = {placed.place for placed in kept}
    return [row for row in predictions.rows() if row["place"] in wanted]


def _fitting(
    predictor: Predictor, task: Task, paths: Sequence[Path], limit: int | None, *, skips: bool
) -> tuple[list[Placed], int]:
    """The examples of files that are put to the model, all seen before the first is; and how many are left out."""
    kept, num_skipped = list[Placed](), 0
    for placed in _placed(task, paths, limit):
        try:
            kept.append(predictor.encoded(placed))
        except LongerThanContextError:
            if not skips:
                raise
            num_skipped += 1
    if not kept:
        what = "no example that the model can see whole" if num_skipped else "no example"
        raise InputError(f"{what} in {', '.join(map(str, paths))}", expected=f"data of the task {task.name}")
    return kept, num_skipped


def _placed(task: Task, paths: Sequence[Path], limit: int | None) -> Iterator[Placed]:
    for place, example in enumerate(task.examples(paths)):
        if limit is not None and place >= limit:
            return
        yield Placed(place, example)


def _predict(predictor: Predictor, predictions: Predictions, kept: Sequence[Placed], *, quiet: bool) -> int:
    """Have what is left predicted, and kept; returns the tokens that were written."""
    left, num_all = [placed for placed in kept if placed.place not in predictions.done], len(kept)
    num_tokens, num_done = 0, num_all - len(left)
    if not left:
        return 0
    with predictions.opened() as writer:
        if quiet:
            for row in predictor.rows(left):
                writer.write(row)
                num_tokens += row.get("num_tokens", 0)
            return num_tokens
        with bar("examples", num_all) as progress:
            for row in predictor.rows(left):
                writer.write(row)
                num_tokens, num_done = num_tokens + row.get("num_tokens", 0), num_done + 1
                progress(num_done)
    return num_tokens


def fingerprint_of(model: Model) -> str:
    """SHA-256 of a model's weights as they are in memory, and of its tokenizer."""
    found = hashlib.sha256(model.tokenizer.fingerprint.encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _hash_of(path: Path) -> str:
    with given_path(path):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            named = "".join(f"{file.relative_to(path)} {sha256_file(file)}\n" for file in inside)
            return hashlib.sha256(named.encode()).hexdigest()
        return sha256_file(path)
