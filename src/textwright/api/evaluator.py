"""What an evaluation during training looks at: the validation text, tasks, or both; and which model is the best."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from textwright.api.config import TaskFiles
from textwright.core.errors import InputError, unknown_name
from textwright.data.dataset import DataSplits, TokenDataset
from textwright.data.prompt_format import PromptFormat
from textwright.evaluation.language_modelling import score_tokens
from textwright.evaluation.metrics.base import Figure
from textwright.evaluation.tracked_tasks import TaskExamples, TrackedTasks, read_task_examples
from textwright.models.language_model import LanguageModel
from textwright.models.network import Network
from textwright.tokens import Tokenizer
from textwright.training.callbacks import Callbacks, Evaluation
from textwright.training.config import VAL_LOSS, ResolvedTrainConfig, TrainConfig
from textwright.training.precision import autocast

EVALUATION_TOKENS_AT_ONCE = 4096


@dataclass(frozen=True)
class Evaluator:
    """Evaluates a model that is being trained.

    Attributes:
        val: the text that is validated on, where there is some.
        tasks: what else the model is put to.
        best_by: the metric that says which model is the best.
        higher_is_better: which way.
        watched: other text whose loss is looked at, by name: it chooses nothing.
    """

    val: TokenDataset | None
    tasks: TrackedTasks | None = None
    best_by: str = VAL_LOSS
    higher_is_better: bool = False
    watched: Mapping[str, TokenDataset] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        val: TokenDataset | None,
        read: list[TaskExamples],
        training: TrainConfig,
        network: LanguageModel,
        tokenizer: Tokenizer,
        prompt_format: PromptFormat | None = None,
    ) -> Self:
        """The evaluator of a training.

        Args:
            val: the text that is validated on.
            read: the examples of tasks.
            training: how to train.
            network: the model.
            tokenizer: the model's.
            prompt_format: how it is asked for what stands between two texts, if it has learned that.

        Raises:
            InputError: a task none of whose examples the model can see whole, or whose metrics cannot judge them; or a
                ``best_by`` that tells nothing.
        """
        tasks = TrackedTasks(read, network, tokenizer, prompt_format) if read else None
        if tasks is not None:
            tasks.try_out(network)
        best_by, higher_is_better = choose_best_by(
            training.best_by, tasks.figures if tasks else {}, has_validation=val is not None
        )
        return cls(val, tasks, best_by, higher_is_better)

    def lines(self, training: TrainConfig) -> list[str]:
        """What tasks there are, for people."""
        if self.tasks is None:
            return []
        found = [task.summary(training.task_examples) for task in self.tasks.tasks]
        if self.best_by != VAL_LOSS:
            found.append(
                f"the best model is the one with the {'highest' if self.higher_is_better else 'lowest'} {self.best_by}"
            )
        return found

    def applied_to(self, training: TrainConfig) -> TrainConfig:
        """The config with what says which model is the best, where that is not the validation loss."""
        return training if self.best_by == VAL_LOSS else training.model_copy(update={"best_by": self.best_by})

    def added_to(self, callbacks: Callbacks) -> Callbacks:
        """The callbacks with evaluations, where there is anything to look at."""
        if self.val is None and self.tasks is None and not self.watched:
            return callbacks
        return replace(callbacks, evaluate=self.evaluate, time_tasks=self.tasks.time if self.tasks else None)

    def fingerprint(self, data: DataSplits) -> str | None:
        """A hash of what a run is trained on, and chosen by."""
        found = data.manifest.fingerprint if data.manifest else None
        if found is None or self.tasks is None or self.best_by == VAL_LOSS:
            return found
        return hashlib.sha256(f"{found} {self.tasks.fingerprint_of(self.best_by)}".encode()).hexdigest()

    def evaluate(self, model: Network, config: ResolvedTrainConfig) -> Evaluation:
        """The figures of a model as it is now; see ``Callbacks.evaluate``."""
        assert isinstance(model, LanguageModel)
        metrics = evaluate_tokens(model, self.val, config) if self.val is not None else {}
        for name, tokens in self.watched.items():
            metrics[f"{VAL_LOSS}/{name}"] = evaluate_tokens(model, tokens, config)[VAL_LOSS]
        if self.tasks is not None:
            metrics |= self.tasks.values(model, config.task_examples)
        return Evaluation(metrics, self.best_by, self.higher_is_better)


def read_tasks(config: TaskFiles, training: TrainConfig) -> list[TaskExamples]:
    """The examples of a run's tasks.

    Raises:
        InputError: see ``read_task_examples`` and ``choose_best_by``; or a number of examples without any task.
    """
    if training.task_examples is not None and not config.tasks:
        raise InputError("a number of task examples without tasks", fix="add --tasks NAME=FILE, or leave it out")
    read = read_task_examples(config.task_files, training.task_examples)
    if training.best_by is not None:  # a typo shows before text is prepared
        figures = {name: figure for one in read for name, figure in one.figures.items()}
        choose_best_by(training.best_by, figures, has_validation=True)
    return read


def choose_best_by(given: str | None, figures: Mapping[str, Figure], *, has_validation: bool) -> tuple[str, bool]:
    """The metric that says which model is the best, and whether more of it is better.

    Args:
        given: as asked for; else the validation loss and, without any text to validate on, the first figure of the
            first task.
        figures: of the tasks, by ``TASK.METRIC``.
        has_validation: whether there is text to validate on.

    Raises:
        InputError: a figure that is not there, or of which neither more nor less is better.
    """
    known: dict[str, bool | None] = {VAL_LOSS: False} if has_validation else {}
    known |= {name: figure.higher_is_better for name, figure in figures.items()}
    telling = [name for name, higher in known.items() if higher is not None]
    if given is None:
        if not figures or has_validation:
            return VAL_LOSS, False
        if not telling:
            raise InputError(
                f"no text to validate on, and of {', '.join(figures)} neither more nor less is better",
                expected="something that says which model is the best",
                fix="give text to validate on, or a task with another metric",
            )
        given = telling[0]
    if given not in known:
        if not known:
            raise InputError(f"best_by = {given!r} without tasks and without text to validate on", fix="leave it out")
        raise unknown_name("figure", given, telling)
    higher_is_better = known[given]
    if higher_is_better is None:
        raise InputError(
            f"best_by = {given!r}, of which neither more nor less is better", expected=f"one of {', '.join(telling)}"
        )
    return given, higher_is_better


def evaluate_tokens(model: LanguageModel, tokens: TokenDataset, config: ResolvedTrainConfig) -> dict[str, float]:
    """The loss of what is validated on: of pairs and chats each by itself, as packed ones are learned from; of text the
    stream from end to end, and its bits per byte."""
    time = min(config.sequence_length, model.context_length)
    with autocast(model.head_weight.device, config.precision):
        return score_tokens(
            model,
            tokens,
            time=time,
            rows=max(1, EVALUATION_TOKENS_AT_ONCE // time),
            max_tokens=config.max_eval_tokens,
            by_documents=config.packing == "documents" and tokens.learned is not None,
        )
