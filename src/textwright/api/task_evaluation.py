"""A model put to a task: predictions that are kept as they come, and the figures of the task's metrics."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from textwright.api.evaluation_facts import facts_of_evaluation
from textwright.api.given import given_names, given_paths
from textwright.api.model import Model
from textwright.api.task_request import TaskRequest, read_task_request
from textwright.core.errors import InputError
from textwright.core.files import sha256_file
from textwright.core.kinds import checks_kinds
from textwright.core.progress import bar
from textwright.core.user_paths import given_path
from textwright.engines.config import EngineConfig
from textwright.evaluation.evaluation_folder import PREDICTIONS, REPORT, Predictions, read_evaluation
from textwright.evaluation.figures_table import as_plain
from textwright.evaluation.metrics.base import Metric
from textwright.evaluation.predict import LongerThanContextError, Placed, Predictor, Row
from textwright.evaluation.predictions import prediction_of
from textwright.evaluation.report import write_evaluation_report
from textwright.evaluation.score import Judgement, Scored, judge
from textwright.evaluation.shown_examples import best_and_worst, rank_examples, wanted_probabilities
from textwright.tasks.base import Task

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
    num_predictions: int
    """That the folder holds: more than were judged after a call with a larger limit."""
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
            "num_predictions": self.num_predictions,
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
    names = given_names(metrics, "metrics") if metrics is not None else None
    where: dict[str, Any] = {"out": Path(out), "metrics": names, "limit": limit, "skip_long": skip_long}
    how: dict[str, Any] = {"trust_code": trust_code, "engine": engine, **sampling}
    hashes = _begin_hashing(model)
    request = read_task_request(task, given_paths(data, "data"), **where, **how)
    return evaluate_request(model, request, quiet=quiet, hashes=hashes)


def evaluate_request(
    model: Model, request: TaskRequest, *, quiet: bool = False, hashes: "ModelHashes | None" = None
) -> TaskReport:
    """Put the examples of a request to a model, and judge what it says; see ``evaluate_task``.

    Args:
        model: writes the answers, or chooses among the options.
        request: the examples, and how they are put.
        quiet: show no progress.
        hashes: the model's, where they are being made already.
    """
    begun_s = time.monotonic()
    hashes = hashes or _begin_hashing(model)
    task, sampling = request.task, request.sampling
    decoder, known = model.decoder(request.engine), model.prompt_format
    predictor = Predictor(decoder, model.tokenizer, task, sampling, request.sandbox, known)
    kept, num_skipped = _fitting(predictor, request)
    found = [(path, _hash_of(path)) for path in request.paths]
    settings = {
        "model": hashes.weights.result(),
        "task": task.name,
        "data": [sha256 for _, sha256 in found],
        "sampling": sampling.model_dump(mode="json"),
        "engine": request.engine.model_dump(mode="json"),
    }
    predictions = Predictions(request.out, settings, facts_of_evaluation(model, request, found, hashes.files.result()))
    _check_are_the_same(predictions, kept)
    num_tokens = _predict(predictor, predictions, kept, request.metrics, quiet=quiet)
    rows = predictions.rows()
    figures = _judged(predictions, _rows_of(rows, kept), request.metrics, num_skipped)
    seconds = time.monotonic() - begun_s
    counts = (len(kept), num_skipped, len(rows))
    return TaskReport(task.name, figures, *counts, predictions.folder, seconds, num_tokens)


def _judged(
    predictions: Predictions, rows: Sequence[Row], metrics: Mapping[str, Metric], num_skipped: int
) -> dict[str, Scored]:
    """The figures of what was said to these examples, written down with the page that shows them."""
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
    asked = {one.place: (one.example.prompt, one.suffix, list(one.example.references)) for one in kept}
    for row in predictions.rows():
        if row["place"] in asked and (row["prompt"], row.get("suffix"), row["references"]) != asked[row["place"]]:
            raise InputError(
                f"{predictions.folder} holds an evaluation with another prompt or reference of {row['id']}",
                fix="give another --out, or delete the folder",
            )


def _rows_of(rows: Sequence[Row], kept: Sequence[Placed]) -> list[Row]:
    """The rows of these examples: there may be more, of a call with a larger limit."""
    wanted = {placed.place for placed in kept}
    return [row for row in rows if row["place"] in wanted]


def _fitting(predictor: Predictor, request: TaskRequest) -> tuple[list[Placed], int]:
    """The examples that are put to the model, all seen before the first is; and how many are left out."""
    kept, num_skipped = list[Placed](), 0
    for place, example in enumerate(request.examples):
        try:
            kept.append(predictor.encoded(Placed(place, example)))
        except LongerThanContextError:
            if not request.skip_long:
                raise
            num_skipped += 1
    if not kept:
        where = ", ".join(map(str, request.paths))
        expected = f"data of the task {request.task.name}"
        raise InputError(f"no example that the model can see whole in {where}", expected=expected)
    return kept, num_skipped


def _predict(
    predictor: Predictor,
    predictions: Predictions,
    kept: Sequence[Placed],
    metrics: Mapping[str, Metric],
    *,
    quiet: bool,
) -> int:
    """Have what is left predicted, and kept; returns the tokens that were written."""
    left, num_all = [placed for placed in kept if placed.place not in predictions.done], len(kept)
    num_tokens, num_done = 0, num_all - len(left)
    if not left:
        return 0
    with predictions.opened() as writer, ExitStack() as stack:
        progress = None if quiet else stack.enter_context(bar("examples", num_all))
        for row in predictor.rows(left):
            if num_done == num_all - len(left):
                _check_can_be_judged(row, metrics)
            writer.write(row)
            num_tokens, num_done = num_tokens + row.get("num_tokens", 0), num_done + 1
            if progress is not None:
                progress(num_done)
    return num_tokens


def _check_can_be_judged(row: Row, metrics: Mapping[str, Metric]) -> None:
    """See that the first prediction holds what metrics ask for, before all others are made."""
    first = prediction_of(json.loads(json.dumps(row)), 1, "the first prediction").judged
    for metric in metrics.values():
        metric.check([first])


@dataclass(frozen=True)
class ModelHashes:
    """What tells a model's weights from others, as it will be."""

    weights: Future[str]
    """See ``fingerprint_of``."""
    files: Future[dict[str, str]]
    """SHA-256 of the files that the model was read from, by name."""


def _begin_hashing(model: Model) -> ModelHashes:
    """Hash a model in threads, which take no time from what else is done as long as a core is free."""
    threads = ThreadPoolExecutor(2, "textwright-hash")
    begun = ModelHashes(threads.submit(fingerprint_of, model), threads.submit(_hashes_of_files, model))
    threads.shutdown(wait=False)
    return begun


def _hashes_of_files(model: Model) -> dict[str, str]:
    return {name: found["sha256"] for name, found in model.files.hashes().items()} if model.files is not None else {}


def fingerprint_of(model: Model) -> str:
    """SHA-256 of a model's weights as they are in memory, and of its tokenizer."""
    found = hashlib.sha256(model.tokenizer.fingerprint.encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _hash_of(path: Path) -> str:
    with given_path(path):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file())
            named = "".join(f"{file.relative_to(path)} {sha256_file(file)}\n" for file in inside)
            return hashlib.sha256(named.encode()).hexdigest()
        return sha256_file(path)
