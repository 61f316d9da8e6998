"""An evaluation by a task, as it is asked for: all that can be seen of it before there is a model. Torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from textwright.core.config import read_config
from textwright.core.errors import InputError
from textwright.engines.config import EngineConfig
from textwright.evaluation.evaluation_folder import check_may_hold_predictions
from textwright.evaluation.metrics.base import Metric, place_of
from textwright.evaluation.sandbox import Sandbox
from textwright.evaluation.score import find_metrics
from textwright.evaluation.task_sampling import sampling_of
from textwright.generation.request import SamplingConfig
from textwright.tasks.base import Example, Task
from textwright.tasks.catalog import find_task


@dataclass(frozen=True)
class TaskRequest:
    """What is to be evaluated, and how.

    Attributes:
        given: the task as it was given: its name, a TOML file, or an object.
        task: what that is.
        metrics: that judge, by their names, the one that matters first.
        paths: the files of examples.
        examples: the first ones, as many as are judged.
        out: the folder for predictions.
        skip_long: whether examples are left out that are longer than the context.
        sampling: how texts are written.
        engine: what computes.
        sandbox: where answers that are programs are run; None where they are none.
        options: what was given beside the task and its data, by the arguments' names, for a command that repeats it.
    """

    given: str | Path | Task
    task: Task
    metrics: dict[str, Metric]
    paths: list[Path]
    examples: list[Example]
    out: Path
    skip_long: bool
    sampling: SamplingConfig
    engine: EngineConfig
    sandbox: Sandbox | None
    options: Mapping[str, Any]


def read_task_request(
    task: str | Path | Task,
    paths: Sequence[Path],
    *,
    out: Path,
    metrics: Sequence[str] | None = None,
    limit: int | None = None,
    skip_long: bool = False,
    trust_code: bool = False,
    engine: EngineConfig | None = None,
    **sampling: Any,
) -> TaskRequest:
    """Look at all that is asked for, and read the examples.

    Args: as ``evaluate_task`` has them.

    Raises:
        InputError: an unknown task or metric, settings that do not go together, files without examples or of another
            form, an example that a metric cannot judge, programs where nothing can hold them in, or a folder that is
            none of an evaluation.
    """
    chosen = task if isinstance(task, Task) else find_task(str(task))
    found = find_metrics(",".join(metrics if metrics is not None else chosen.metrics))
    config = read_config(SamplingConfig, sampling_of(chosen, sampling), "the arguments of evaluate_task")
    check_may_hold_predictions(out)
    if limit is not None and limit < 1:
        raise InputError(f"limit = {limit}", expected="at least 1")
    sandbox = Sandbox(trusts_code=trust_code) if chosen.runs_code else None
    examples = list(islice(chosen.examples(paths), limit))
    if not examples:
        raise InputError(f"no example in {', '.join(map(str, paths))}", expected=f"data of the task {chosen.name}")
    _check_references(found, examples)
    options = {"metrics": metrics, "limit": limit, "skip_long": skip_long, "trust_code": trust_code} | sampling
    given = (task, chosen, found, list(paths), examples, out, skip_long, config, engine or EngineConfig(), sandbox)
    return TaskRequest(*given, options)


def _check_references(metrics: Mapping[str, Metric], examples: Sequence[Example]) -> None:
    """See that there is something to compare answers with, where a metric compares."""
    asking = next((name for name, metric in metrics.items() if metric.needs_references), None)
    without = next((number for number, one in enumerate(examples, start=1) if not one.references), None)
    if asking is not None and without is not None:
        raise InputError(f"no reference for {asking}", where=place_of(without), expected="one at least")
