"""Tasks that a model is put to while it trains: their examples, read once, and the figures of its answers.

::

    files ──the first N──> examples ──those that fit──> [each evaluation] answers ──metrics──> TASK.METRIC: value

Answers are made and judged as ``evaluate --task`` makes and judges them. Chance plays no part, and the model is left as
it is: training goes on as it would without.
"""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.core.words import counted
from textwright.data.prompt_format import PromptFormat
from textwright.engines.catalog import choose_engine, make_decoder
from textwright.engines.config import EngineConfig
from textwright.engines.cpu.kernels import are_compiled
from textwright.evaluation.catalog import TASKS as LAST_WORDS
from textwright.evaluation.metrics.base import Figure, Metric
from textwright.evaluation.metrics.catalog import METRICS, find_metric
from textwright.evaluation.predict import LongerThanContextError, Placed, Predictor, name_of
from textwright.evaluation.predictions import prediction_of
from textwright.evaluation.sandbox import Sandbox, why_not_isolated
from textwright.evaluation.score import score
from textwright.evaluation.task_sampling import sampling_of
from textwright.generation.request import SamplingConfig
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.network import Network
from textwright.models.protocols import Decoder
from textwright.tasks.base import Task
from textwright.tasks.catalog import TASKS, find_task
from textwright.tokens.tokenizer import Tokenizer
from textwright.training.callbacks import TaskTiming
from textwright.training.config import DEFAULT_TASK_EXAMPLES

MIN_TASK_EXAMPLES = 20
"""Of each task, where fewer would fit into its share of the minutes: the clock makes fewer evaluations then."""
FIRST_TIMED = 8
"""Examples that are timed first; then twice as many, and so on."""
NUM_TRIED = 2
"""Examples that are tried before the first step."""


@dataclass(frozen=True)
class TaskExamples:
    """A task with its first examples, as files have them."""

    task: Task
    metrics: dict[str, Metric]
    """By their names, the one that matters first."""
    examples: list[Placed]
    paths: Sequence[Path]
    left_out: tuple[str, ...]
    """Metrics that are not for while a model trains."""

    @property
    def figures(self) -> dict[str, Figure]:
        """What the metrics give, by ``TASK.METRIC``."""
        found = [figure for metric in self.metrics.values() for figure in metric.figures]
        return {f"{self.task.name}.{figure.name}": figure for figure in found}


def read_task_examples(files: Mapping[str, Sequence[Path]], num_examples: int | None) -> list[TaskExamples]:
    """The first examples of tasks: as many as evaluations may take, and never fewer than they do when not told.

    So a run that goes on, whose number was found by the clock, sees those that it saw before.

    Args:
        files: by the name of each task, or by the TOML file that describes it.
        num_examples: of each task, as asked for.

    Raises:
        InputError: an unknown task, two of one name, files without examples or of another form, an example without a
            reference where a metric asks for one, programs where nothing can hold them in, or no metric that is for
            while a model trains.
    """
    most = max(num_examples or 0, DEFAULT_TASK_EXAMPLES)
    found = [_read(name, paths, most) for name, paths in files.items()]
    names = [one.task.name for one in found]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise InputError(f"two tasks called {twice}", where="tasks", fix="give one of the files another name")
    return found


def _read(name: str, paths: Sequence[Path], num_examples: int) -> TaskExamples:
    if name in LAST_WORDS:
        raise InputError(
            f"{name} while a model trains: it tells how likely last words are, and nothing is answered",
            expected=f"one of {', '.join(sorted(TASKS))}, or a TOML file",
            fix=f"judge the finished model: evaluate MODEL --task {name}",
        )
    task = find_task(name)
    problem = why_not_isolated() if task.runs_code else None
    if problem is not None:
        raise InputError(
            f"the programs of {task.name} cannot be held in here: {problem}",
            fix="install bubblewrap where namespaces are allowed, or judge the finished model: "
            f"evaluate MODEL --task {task.name} --trust-code",
        )
    # They read a model, or all of the training text.
    left_out = tuple(metric for metric in task.metrics if METRICS.load(metric.partition("=")[0]).file)
    metrics = {metric: find_metric(metric) for metric in task.metrics if metric not in left_out}
    if not metrics:
        raise InputError(
            f"the metrics of {task.name} need files: {', '.join(left_out)}",
            expected="at least one that does not",
            fix=f"judge the finished model: evaluate MODEL --task {name}",
        )
    examples = [Placed(place, one) for place, one in enumerate(islice(task.examples(paths), num_examples))]
    if not examples:
        raise InputError(f"no example in {', '.join(map(str, paths))}", expected=f"data of the task {task.name}")
    without = next((one for one in examples if not one.example.references), None)
    asking = next((metric for metric, one in metrics.items() if one.needs_references), None)
    if without is not None and asking is not None:
        where = f"{name_of(without)} of {task.name}"
        raise InputError(f"no reference for {asking}", where=where, expected="one at least")
    return TaskExamples(task, metrics, examples, paths, left_out)


class TrackedTask:
    """A task whose examples are put to a model again and again.

    Args:
        read: the examples.
        network: the model; only those that it can see whole are kept.
        tokenizer: the model's.
        prompt_format: how it is asked for what stands between two texts, if it has learned that.

    Raises:
        InputError: it can see none of them whole.
    """

    def __init__(
        self,
        read: TaskExamples,
        network: LanguageModel,
        tokenizer: Tokenizer,
        prompt_format: PromptFormat | None = None,
    ) -> None:
        self.name, self._read, self._tokenizer, self._prompt_format = read.task.name, read, tokenizer, prompt_format
        self._sampling = SamplingConfig(**sampling_of(read.task, {}))
        self._sandbox = Sandbox() if read.task.runs_code else None
        predictor, self.examples = self._predictor(network), list[Placed]()
        for placed in read.examples:
            try:
                self.examples.append(predictor.encoded(placed))
            except LongerThanContextError as error:
                longest = error
        self.num_left_out = len(read.examples) - len(self.examples)
        if not self.examples:
            raise InputError(
                f"no example of {read.task.name} that the model can see whole: {longest.given}",
                where=", ".join(map(str, read.paths)),
                expected=longest.expected,
                fix="train a model with a longer context, or leave the task out",
            )

    @property
    def figures(self) -> dict[str, Figure]:
        """See ``TaskExamples.figures``."""
        return self._read.figures

    def summary(self, num_examples: int | None) -> str:
        """What is put to the model, in a line, where an evaluation takes so many examples at most."""
        parts = [f"task {self.name}: {counted(len(self.examples[:num_examples]), 'example')}"]
        if self.num_left_out:
            parts.append(f"{self.num_left_out:,} left out: longer than the context")
        if self._read.left_out:
            parts.append(f"without {', '.join(self._read.left_out)}: what reads files is for evaluate")
        return "; ".join(parts)

    @property
    def fingerprint(self) -> str:
        """A hash of what is asked, and of how an answer is written and judged."""
        asked = [_asked(placed) for placed in self.examples]
        how = [asked, self._sampling.model_dump(mode="json"), list(self._read.metrics)]
        return hashlib.sha256(json.dumps(how, sort_keys=True, default=str).encode()).hexdigest()

    def values(self, decoder: Decoder, num_examples: int | None) -> dict[str, float]:
        """The figures of a model on the first examples, those that have a meaning, by ``TASK.METRIC``."""
        asked = self.examples[:num_examples]
        rows = sorted(self._predictor(decoder).rows(asked), key=lambda row: int(row["place"]))
        # As a file of predictions gives them back.
        given = [json.loads(json.dumps(row)) for row in rows]
        judged = [prediction_of(row, place, f"example {place}").judged for place, row in enumerate(given, start=1)]
        scored = score(judged, self._read.metrics, num_resamples=0)
        found = {f"{self.name}.{name}": one.value for name, one in scored.items()}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _predictor(self, decoder: Decoder) -> Predictor:
        task, known = self._read.task, self._prompt_format
        return Predictor(decoder, self._tokenizer, task, self._sampling, self._sandbox, known)


def _asked(placed: Placed) -> dict[str, Any]:
    """An example as it is put to the model: with what stands after its answer where the model is told."""
    asked = asdict(placed.example)
    del asked["prefix_suffix"]
    return asked if placed.suffix is None else asked | {"suffix": placed.suffix}


class TrackedTasks:
    """All tasks of a training.

    Args:
        read: their examples.
        network: the model that is trained.
        tokenizer: the model's.
        prompt_format: see ``TrackedTask``.

    Raises:
        InputError: a task none of whose examples the model can see whole.
    """

    def __init__(
        self,
        read: Sequence[TaskExamples],
        network: LanguageModel,
        tokenizer: Tokenizer,
        prompt_format: PromptFormat | None = None,
    ) -> None:
        self.tasks = [TrackedTask(one, network, tokenizer, prompt_format) for one in read]
        # To pack the weights for them and decode takes about a quarter of what torch takes. Those that are not compiled
        # yet take longer to compile than evaluations may. What there is now stays, so that a curve is of one piece.
        self._has_kernels = choose_engine(network, EngineConfig()) == "cpu" and are_compiled()

    @property
    def figures(self) -> dict[str, Figure]:
        """All of them, by ``TASK.METRIC``, those of the first task first."""
        return {name: figure for task in self.tasks for name, figure in task.figures.items()}

    def fingerprint_of(self, figure: str) -> str:
        """A hash of what a figure depends on beside the model."""
        return next(task.fingerprint for task in self.tasks if figure in task.figures)

    def values(self, network: Network, num_examples: int | None) -> dict[str, float]:
        """The figures that have a meaning, by ``TASK.METRIC``.

        Args:
            network: the model as it is now; in evaluation mode.
            num_examples: of each task at most, the first ones.
        """
        decoder = self._decoder(network)
        return {name: value for task in self.tasks for name, value in task.values(decoder, num_examples).items()}

    def try_out(self, network: LanguageModel) -> None:
        """Have a few examples done before the first step: what cannot be judged shows now, and not at an evaluation."""
        was_training = network.training
        decoder = self._decoder(network.eval())
        for task in self.tasks:
            try:
                task.values(decoder, NUM_TRIED)
            except InputError as error:
                where = f"{error.where} of {task.name}" if error.where else f"the task {task.name}"
                raise InputError(error.given, where=where, expected=error.expected, fix=error.fix) from None
        network.train(was_training)

    def time(self, network: Network, given: int | None, max_s: float | None) -> TaskTiming:
        """How many examples of each task an evaluation takes.

        Args:
            network: the model; in evaluation mode.
            given: a number that was asked for; it stays.
            max_s: seconds that they may take, about. None where that does not matter: then nothing is timed.
        """
        if max_s is None:
            return TaskTiming(given or DEFAULT_TASK_EXAMPLES, 0.0)
        most = max(len(task.examples) for task in self.tasks)
        number, taken_s = min(FIRST_TIMED, most), self._seconds(network, min(FIRST_TIMED, most))
        while number < most and taken_s < max_s / 2:
            number = min(2 * number, most)
            taken_s = self._seconds(network, number)
        each_s = taken_s / number
        if given is not None:
            return TaskTiming(given, each_s * min(given, most))
        fitting = int(max_s / each_s)
        if fitting >= most:
            return TaskTiming(DEFAULT_TASK_EXAMPLES, each_s * most)
        number = min(max(MIN_TASK_EXAMPLES, fitting), most)
        return TaskTiming(number, each_s * number)

    def _decoder(self, network: Network) -> Decoder:
        """What decodes the model with the weights that it has now."""
        model = as_language_model(network)
        return make_decoder(model, "cpu", "float32") if self._has_kernels else model

    def _seconds(self, network: Network, num_examples: int) -> float:
        begun_s = time.perf_counter()
        self.values(network, num_examples)
        return time.perf_counter() - begun_s
