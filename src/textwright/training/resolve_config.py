"""What is found out once, before the first step: how much at once, how exactly, how long."""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from textwright.checkpoint.training_state import snapshot, write_checkpoint
from textwright.core.device import PrecisionRates, has_bfloat16_products
from textwright.core.errors import InputError
from textwright.data.sources.base import BatchSource, check_first_batch
from textwright.models.language_model import LanguageModel
from textwright.models.layers.training_kernels import load_kernels
from textwright.models.network import Network
from textwright.training.callbacks import Callbacks, TaskTiming
from textwright.training.clock import Clock, Length, StepTimings
from textwright.training.compilation import COMPILING, NO_COMPILER, compile_step, has_compiler, is_worth_compiling
from textwright.training.config import DEFAULT_EVAL_TOKENS, DEFAULT_STEPS, ResolvedTrainConfig, TrainConfig
from textwright.training.memory import Activations, free_bytes, measure_activations, used_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.precision import StepProbe
from textwright.training.threads import Threads
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

NUM_WARM_UP_STEPS = 2
TRIAL_FRACTION = 0.04
"""Of the minutes, for trial steps; the step in hand is always finished."""
EVALUATION_FRACTION = 0.01
"""Of the minutes, for the text of an evaluation, and for its tasks: their tokens and examples are so many fewer, where
their number was not given."""
MIN_EVAL_TOKENS = 4096
NUM_SAMPLE_TOKENS = 80
"""About what a sample takes, before one was taken."""
SAVE_BYTES_PER_S = 1e9
"""About how fast a checkpoint is copied before training goes on; it is written while it does."""
MEMORY_FRACTION = 0.25
"""Of the free memory, for the activations of one micro-batch."""
MAX_ACTIVATION_BYTES = 2**31
"""On a CPU no more than this: larger micro-batches leave its caches and are no faster."""


@dataclass(frozen=True)
class Resolution:
    """What was found out."""

    config: ResolvedTrainConfig
    """With nothing left open."""
    activations: Activations
    """What a forward pass keeps in memory."""
    rates: PrecisionRates | None = None
    """How fast either precision is here, where that was measured."""
    timings: StepTimings | None = None
    """What steps take, and about what pauses do, where the run has minutes."""
    length: Length | None = None
    """How long a run with minutes is to be, until its clock looks again."""


def resolve_config(
    model_with_loss: ModelWithLoss,
    batches: BatchSource,
    config: TrainConfig,
    callbacks: Callbacks,
    *,
    threads: Threads,
    saves: bool,
    elapsed_s: Callable[[], float] = lambda: 0.0,
) -> Resolution:
    """The config with nothing left open; one that has nothing open comes back as it is.

    Args:
        model_with_loss: left as it was: trial steps are undone.
        batches: what is learned from.
        config: as the user gave it.
        callbacks: told what takes a while.
        threads: sees the trial steps of a run with minutes.
        saves: whether the run writes checkpoints, which take time too.
        elapsed_s: seconds of the minutes that are over.
    """
    model = model_with_loss.model
    device = next(model_with_loss.parameters()).device
    row_tokens = config.sequence_length or model.config.context_length
    vocab_size = model.vocab_size if isinstance(model, LanguageModel) else None
    check_first_batch(batches, num_rows=config.batch_size, sequence_length=row_tokens, vocab_size=vocab_size)
    held_bytes = _held_bytes(model_with_loss, config, device, callbacks)  # before the probe frees some
    rates = None
    precision = config.precision
    if device.type == "cpu":
        rates = _look_at_the_processor(model_with_loss, config, row_tokens, threads)
        if precision == "auto":
            precision = "float32" if rates is None else rates.faster
    elif precision == "auto":
        precision = "bfloat16" if has_bfloat16_products(device) else "float32"
    resolved = config.resolved(
        steps=config.steps or DEFAULT_STEPS,
        sequence_length=row_tokens,
        micro_batch_size=config.micro_batch_size or 1,
        precision=precision,
    )
    activations = replace(measure_activations(model_with_loss, resolved, batches.batch(0)), used_bytes=held_bytes)
    if config.micro_batch_size is None:
        resolved = resolved.model_copy(
            update={"micro_batch_size": _rows_that_fit(device, activations, config.batch_size)}
        )
    tasks = _time_tasks(model_with_loss, callbacks, config)
    resolved = resolved.model_copy(update={"task_examples": tasks.num_examples})
    if config.minutes is None:
        return Resolution(resolved, activations, rates)
    callbacks.on_note("timing some steps, to see how many fit")
    budget_s = config.minutes * 60
    step_s = _trial_step_seconds(model_with_loss, batches, resolved, threads, budget_s * TRIAL_FRACTION)
    resolved = resolved.model_copy(update={"max_eval_tokens": _eval_tokens(config, resolved, step_s, budget_s)})
    timings = _guess_timings(model_with_loss, resolved, callbacks, step_s, tasks.seconds, saves=saves)
    length = Clock(budget_s, config).length(timings, from_step=0, elapsed_s=elapsed_s())
    timed = config.resolved(
        steps=length.steps, sequence_length=row_tokens, micro_batch_size=resolved.micro_batch_size, precision=precision
    ).model_copy(update={name: getattr(resolved, name) for name in ("max_eval_tokens", "task_examples")})
    return Resolution(length.applied_to(timed), activations, rates, timings, length)


def _look_at_the_processor(
    model_with_loss: ModelWithLoss, config: TrainConfig, row_tokens: int, threads: Threads
) -> PrecisionRates | None:
    """Find how many threads are worth it and, where the config leaves it open, how fast either precision is.

    A model that is not trained to predict tokens is not known well enough to be timed in small.
    """
    if not isinstance(model_with_loss.model, LanguageModel):
        return None
    at_once = config.micro_batch_size or config.batch_size
    probe = StepProbe(model_with_loss.model, batch_size=at_once, sequence_length=row_tokens)
    threads.look(lambda: probe.run("bfloat16" if config.precision == "bfloat16" else "float32"))
    return probe.measure_rates() if config.precision == "auto" else None


def prepare_step(model_with_loss: ModelWithLoss, config: TrainConfig, callbacks: Callbacks) -> TrainConfig:
    """Make a model and its objective ready to be trained; the config says whether they are compiled.

    They are marked as the stage of the parameter plan has it in which most is trained: that is what must fit.

    Raises:
        InputError: nothing is trained in some stage, or a pattern fits nothing.
    """
    model_with_loss.mark_largest(config.parameter_plan)
    device = next(model_with_loss.train().parameters()).device
    compiles = config.compile
    if compiles is None:
        compiles = is_worth_compiling(model_with_loss, config)
        if compiles and not has_compiler(device):
            compiles = False
            callbacks.on_note(NO_COMPILER)
    if compiles:
        callbacks.on_note(COMPILING)
        compile_step(model_with_loss)
    if config.activation_checkpointing:
        if type(model_with_loss.model).enable_activation_checkpointing is Network.enable_activation_checkpointing:
            what = f"--activation-checkpointing with a {model_with_loss.model.config.family} model"
            raise InputError(what, expected="a family that offers it", fix="leave it out")
        model_with_loss.model.enable_activation_checkpointing()
    return config.model_copy(update={"compile": compiles})


def _rows_that_fit(device: torch.device, activations: Activations, rows: int) -> int:
    """How many rows' activations fit. Depends on the machine's memory, not on a clock."""
    budget = int(free_bytes(device) * MEMORY_FRACTION)
    if device.type == "cpu":
        budget = min(budget, MAX_ACTIVATION_BYTES)
    most = max(1, min(rows, (budget - activations.fixed_bytes) // activations.row_bytes))
    num_parts = -(-rows // most)
    return -(-rows // num_parts)  # parts of nearly equal size


def _trial_step_seconds(
    model_with_loss: ModelWithLoss, batches: BatchSource, config: ResolvedTrainConfig, threads: Threads, max_s: float
) -> float:
    """What a step takes, the median of those that fit into so many seconds; the weights are left as they were."""
    weights = {name: value.clone() for name, value in model_with_loss.state_dict().items()}
    trial = TrainState.begin(model_with_loss, config)
    begun_s = time.perf_counter()
    taken: list[float] = []
    while not taken or time.perf_counter() - begun_s < max_s:
        number = threads.number
        seconds = _seconds(lambda: train_step(trial, batches.batch(trial.progress.step), config))
        if trial.progress.step <= NUM_WARM_UP_STEPS and seconds < max_s / 4:
            continue
        threads.note_step(seconds, config.batch_size * config.sequence_length)
        if threads.number == number:
            taken.append(seconds)
        else:
            taken.clear()
    model_with_loss.load_state_dict(weights)
    return statistics.median(taken)


def _eval_tokens(config: TrainConfig, resolved: ResolvedTrainConfig, step_s: float, budget_s: float) -> int:
    """How many tokens an evaluation of a run with minutes reads: as given, or as many as its share of them takes."""
    if config.max_eval_tokens is not None:
        return config.max_eval_tokens
    fitting = int(EVALUATION_FRACTION * budget_s / _token_evaluation_s(resolved, step_s))
    return max(MIN_EVAL_TOKENS, min(DEFAULT_EVAL_TOKENS, fitting))


def _time_tasks(model_with_loss: ModelWithLoss, callbacks: Callbacks, config: TrainConfig) -> TaskTiming:
    """How many examples of each task an evaluation takes; with minutes as many as their share of them has room for."""
    if callbacks.time_tasks is None:
        return TaskTiming(None, 0.0)
    if config.minutes is None:
        return callbacks.time_tasks(model_with_loss.model, config.task_examples, None)
    callbacks.on_note("timing the tasks, to see how many examples fit into an evaluation")
    max_s = config.minutes * 60 * EVALUATION_FRACTION
    timing = callbacks.time_tasks(model_with_loss.model.eval(), config.task_examples, max_s)
    model_with_loss.train()
    if config.task_examples is None:
        number = timing.num_examples
        callbacks.on_note(f"an evaluation takes {number:,} examples of each task at most (--task-examples)")
    return timing


def _token_evaluation_s(resolved: ResolvedTrainConfig, step_s: float) -> float:
    """About what evaluating a token takes: a forward pass is a third of a step."""
    return step_s / (3 * resolved.batch_size * resolved.sequence_length)


def _guess_timings(
    model_with_loss: ModelWithLoss,
    resolved: ResolvedTrainConfig,
    callbacks: Callbacks,
    step_s: float,
    tasks_s: float,
    *,
    saves: bool,
) -> StepTimings:
    """What pauses take, about: the clock goes by what they took once they were made."""
    weights_bytes = sum(parameter.nbytes for parameter in model_with_loss.parameters())
    token_s = weights_bytes / 8e9 + model_with_loss.model.num_layers * 1e-3
    return StepTimings(
        step_s,
        _token_evaluation_s(resolved, step_s) * resolved.max_eval_tokens + tasks_s if callbacks.evaluate else 0.0,
        token_s * NUM_SAMPLE_TOKENS if callbacks.sample else 0.0,
        3 * weights_bytes / SAVE_BYTES_PER_S if saves else 0.0,
    )


def measure_timings(
    model_with_loss: ModelWithLoss,
    batches: BatchSource,
    resolved: ResolvedTrainConfig,
    callbacks: Callbacks,
    threads: Threads,
    num_steps: int,
    scratch: Path,
) -> StepTimings:
    """Time so many steps, and each pause once.

    What a run holds while it steps is held here too: a copy of the weights, as of the best model, and one of the state.

    Args:
        model_with_loss: its weights are left as they were.
        batches: what is stepped on.
        resolved: nothing left open.
        callbacks: evaluation and samples.
        threads: sees the steps.
        num_steps: to be timed, after two more.
        scratch: a folder that a checkpoint is written into and deleted from, on the disk of the run.
    """
    weights = {name: value.clone() for name, value in model_with_loss.state_dict().items()}
    trial = TrainState.begin(model_with_loss, resolved)
    for step in range(NUM_WARM_UP_STEPS):
        train_step(trial, batches.batch(step), resolved)
    saves_on_the_way = resolved.checkpoint_every != resolved.steps
    being_saved = snapshot(trial.state_dict()[0]) if saves_on_the_way else {}
    taken = []
    for step in range(NUM_WARM_UP_STEPS, NUM_WARM_UP_STEPS + num_steps):
        number, begun_s = threads.number, time.perf_counter()
        train_step(trial, batches.batch(step), resolved)
        taken.append(time.perf_counter() - begun_s)
        threads.note_step(taken[-1], resolved.batch_size * resolved.sequence_length)
        if threads.number != number:
            taken.clear()
    step_s = statistics.mean(taken) if taken else _seconds(lambda: train_step(trial, batches.batch(0), resolved))
    being_saved.clear()
    model = model_with_loss.model.eval()
    evaluate, sample = callbacks.evaluate, callbacks.sample
    save_s = _seconds(lambda: _save_and_forget(trial, scratch))
    # An evaluation may find a new best model, which is saved: the weights, about a third of a checkpoint.
    evaluate_s = _seconds(lambda: evaluate(model, resolved)) + save_s / 3 if evaluate else 0.0
    sample_s = _seconds(lambda: sample(model)) if sample else 0.0
    model.train()
    model_with_loss.load_state_dict(weights)
    return StepTimings(step_s, evaluate_s, sample_s, save_s)


def measure_step_s(
    model_with_loss: ModelWithLoss, batches: BatchSource, resolved: ResolvedTrainConfig, num_steps: int
) -> float:
    """What a step of the stage takes by which a model is marked, the median of so many after two more.

    Args:
        model_with_loss: its weights are left as they were.
        batches: what is stepped on.
        resolved: nothing left open.
        num_steps: to be timed.
    """
    weights = {name: value.clone() for name, value in model_with_loss.state_dict().items()}
    trial, taken = TrainState.begin(model_with_loss, resolved), list[float]()
    for step in range(NUM_WARM_UP_STEPS + num_steps):
        begun_s = time.perf_counter()
        train_step(trial, batches.batch(step), resolved)
        taken.append(time.perf_counter() - begun_s)
    model_with_loss.load_state_dict(weights)
    return statistics.median(taken[NUM_WARM_UP_STEPS:])


def _save_and_forget(trial: TrainState, scratch: Path) -> None:
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".trial.", suffix=".tmp") as folder:
        tensors, facts = trial.state_dict()
        write_checkpoint(Path(folder), 0, snapshot(tensors), facts)


def _held_bytes(model_with_loss: ModelWithLoss, config: TrainConfig, device: torch.device, callbacks: Callbacks) -> int:
    """Memory in use, the kernels that a step may need among it."""
    if config.precision != "bfloat16":
        load_kernels(model_with_loss, callbacks.on_note)
    return used_bytes(device)


def _seconds(action: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    action()
    return time.perf_counter() - begun_s
