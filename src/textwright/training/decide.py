"""What is found out once, before the first step: how much at once, how exactly, how long."""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from textwright.batches.loader import Loader
from textwright.batches.shards import Tokens
from textwright.checkpoint.training_state import snapshot, write_checkpoint
from textwright.core.device import PrecisionRates, has_bfloat16_products
from textwright.models.language_model import LanguageModel
from textwright.training.clock import Clock, Length, StepTimings
from textwright.training.compilation import COMPILING, NO_COMPILER, compile_step, has_compiler, is_worth_compiling
from textwright.training.config import DEFAULT_EVAL_TOKENS, DEFAULT_STEPS, TrainConfig
from textwright.training.hooks import Hooks
from textwright.training.memory import Activations, free_bytes, measure_activations, used_bytes
from textwright.training.objectives.catalog import make_objective
from textwright.training.precision import StepProbe
from textwright.training.step import TrainStep
from textwright.training.threads import Threads
from textwright.training.train_state import TrainState
from textwright.training.update import update

NUM_WARM_UP_STEPS = 2
TRIAL_FRACTION = 0.04
"""Of the minutes, for trial steps; the step in hand is always finished."""
EVALUATION_FRACTION = 0.01
"""Of the minutes, for one evaluation: its tokens are so many fewer, where their number was not given."""
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
class Decision:
    """What was found out."""

    config: TrainConfig
    """With nothing left open."""
    activations: Activations
    """What a forward pass keeps in memory."""
    rates: PrecisionRates | None = None
    """How fast either precision is here, where that was measured."""
    timings: StepTimings | None = None
    """What steps take, and about what pauses do, where the run has minutes."""
    length: Length | None = None
    """How long a run with minutes is to be, until its clock looks again."""


def decide(
    train_step: TrainStep,
    tokens: Tokens,
    config: TrainConfig,
    hooks: Hooks,
    *,
    threads: Threads,
    saves: bool,
    elapsed_s: Callable[[], float] = lambda: 0.0,
) -> Decision:
    """The config with nothing left open; one that has nothing open comes back as it is.

    Args:
        train_step: left as it was: trial steps are undone.
        tokens: the text to train on.
        config: as the user gave it.
        hooks: told what takes a while.
        threads: sees the trial steps of a run with minutes.
        saves: whether the run writes checkpoints, which take time too.
        elapsed_s: seconds of the minutes that are over.

    Raises:
        InputError: the text is too short for one row.
    """
    model = train_step.model
    device = next(train_step.parameters()).device
    row_tokens = config.sequence_length or model.context_length
    held_bytes = used_bytes(device)  # before the probe: what that frees is used again
    rates = None
    precision = config.precision
    if device.type == "cpu":
        at_once = config.micro_batch_size or config.batch_size
        probe = StepProbe(train_step, batch_size=at_once, sequence_length=row_tokens)
        threads.look(lambda: probe.run("bfloat16" if precision == "bfloat16" else "float32"))
        if precision == "auto":
            rates = probe.measure_rates()
            precision = rates.faster
    elif precision == "auto":
        precision = "bfloat16" if has_bfloat16_products(device) else "float32"
    decided = config.decided(
        steps=config.steps or DEFAULT_STEPS,
        sequence_length=row_tokens,
        micro_batch_size=config.micro_batch_size or 1,
        precision=precision,
    )
    loader = make_loader(tokens, decided)
    activations = replace(measure_activations(train_step, decided), used_bytes=held_bytes)
    if config.micro_batch_size is None:
        decided = decided.model_copy(
            update={"micro_batch_size": _rows_that_fit(device, activations, config.batch_size)}
        )
    if config.minutes is None:
        return Decision(decided, activations, rates)
    hooks.on_note("timing some steps, to see how many fit")
    budget_s = config.minutes * 60
    step_s = _trial_step_seconds(train_step, loader, decided, threads, budget_s * TRIAL_FRACTION)
    decided = decided.model_copy(update={"max_eval_tokens": _eval_tokens(config, decided, step_s, budget_s)})
    timings = _guess_timings(train_step, decided, hooks, step_s, saves=saves)
    length = Clock(budget_s, config).length(timings, from_step=0, elapsed_s=elapsed_s())
    assert decided.micro_batch_size is not None
    timed = config.decided(
        steps=length.steps, sequence_length=row_tokens, micro_batch_size=decided.micro_batch_size, precision=precision
    ).model_copy(update={"max_eval_tokens": decided.max_eval_tokens})
    return Decision(length.applied_to(timed), activations, rates, timings, length)


def prepare_step(model: LanguageModel, config: TrainConfig, hooks: Hooks) -> tuple[TrainStep, TrainConfig]:
    """A model and its objective, ready to be trained, and the config that says whether they are compiled."""
    device = next(model.parameters()).device
    train_step = TrainStep(model, make_objective(config.objective).to(device)).train()
    compiles = config.compile
    if compiles is None:
        compiles = is_worth_compiling(train_step, config)
        if compiles and not has_compiler(device):
            compiles = False
            hooks.on_note(NO_COMPILER)
    if compiles:
        hooks.on_note(COMPILING)
        compile_step(train_step)
    if config.activation_checkpointing:
        model.recompute_for_training()
    return train_step, config.model_copy(update={"compile": compiles})


def make_loader(tokens: Tokens, config: TrainConfig) -> Loader:
    """The source of batches that a decided config describes."""
    assert config.sequence_length is not None
    return Loader(tokens, rows=config.batch_size, time=config.sequence_length, seed=config.seed, packing=config.packing)


def _rows_that_fit(device: torch.device, activations: Activations, rows: int) -> int:
    """How many rows' activations fit. Depends on the machine's memory, not on a clock."""
    budget = int(free_bytes(device) * MEMORY_FRACTION)
    if device.type == "cpu":
        budget = min(budget, MAX_ACTIVATION_BYTES)
    most = max(1, min(rows, (budget - activations.fixed_bytes) // activations.row_bytes))
    num_parts = -(-rows // most)
    return -(-rows // num_parts)  # parts of nearly equal size


def _trial_step_seconds(
    train_step: TrainStep, loader: Loader, config: TrainConfig, threads: Threads, max_s: float
) -> float:
    """What a step takes, the median of those that fit into so many seconds; the weights are left as they were."""
    weights = {name: value.clone() for name, value in train_step.state_dict().items()}
    trial = TrainState.begin(train_step, config)
    begun_s = time.perf_counter()
    taken: list[float] = []
    while not taken or time.perf_counter() - begun_s < max_s:
        number = threads.number
        seconds = _seconds(lambda: update(trial, loader.batch(trial.progress.step), config))
        if trial.progress.step <= NUM_WARM_UP_STEPS and seconds < max_s / 4:
            continue
        threads.note_step(seconds, config.batch_size * (config.sequence_length or 1))
        if threads.number == number:
            taken.append(seconds)
        else:
            taken.clear()
    train_step.load_state_dict(weights)
    return statistics.median(taken)


def _eval_tokens(config: TrainConfig, decided: TrainConfig, step_s: float, budget_s: float) -> int:
    """How many tokens an evaluation of a run with minutes reads: as given, or as many as its share of them takes."""
    if config.max_eval_tokens is not None:
        return config.max_eval_tokens
    fitting = int(EVALUATION_FRACTION * budget_s / _token_evaluation_s(decided, step_s))
    return max(MIN_EVAL_TOKENS, min(DEFAULT_EVAL_TOKENS, fitting))


def _token_evaluation_s(decided: TrainConfig, step_s: float) -> float:
    """About what evaluating a token takes: a forward pass is a third of a step."""
    assert decided.sequence_length is not None
    return step_s / (3 * decided.batch_size * decided.sequence_length)


def _guess_timings(
    train_step: TrainStep, decided: TrainConfig, hooks: Hooks, step_s: float, *, saves: bool
) -> StepTimings:
    """What pauses take, about: the clock goes by what they took once they were made."""
    assert decided.max_eval_tokens is not None
    config = train_step.model.config
    weights_bytes = sum(parameter.nbytes for parameter in train_step.parameters())
    token_s = weights_bytes / 8e9 + config.num_layers * 1e-3
    return StepTimings(
        step_s,
        _token_evaluation_s(decided, step_s) * decided.max_eval_tokens if hooks.evaluate else 0.0,
        token_s * NUM_SAMPLE_TOKENS if hooks.sample else 0.0,
        3 * weights_bytes / SAVE_BYTES_PER_S if saves else 0.0,
    )


def measure_timings(
    train_step: TrainStep,
    loader: Loader,
    decided: TrainConfig,
    hooks: Hooks,
    threads: Threads,
    num_steps: int,
    scratch: Path,
) -> StepTimings:
    """Time so many steps, and each pause once.

    What a run holds while it steps is held here too: a copy of the weights, as of the best model, and one of the state.

    Args:
        train_step: its weights are left as they were.
        loader: of the batches that are stepped on.
        decided: nothing left open.
        hooks: evaluation and samples.
        threads: sees the steps.
        num_steps: to be timed, after two more.
        scratch: a folder that a checkpoint is written into and deleted from, on the disk of the run.
    """
    weights = {name: value.clone() for name, value in train_step.state_dict().items()}
    trial = TrainState.begin(train_step, decided)
    for step in range(NUM_WARM_UP_STEPS):
        update(trial, loader.batch(step), decided)
    saves_on_the_way = decided.checkpoint_every != decided.steps
    being_saved = snapshot(trial.gather()[0]) if saves_on_the_way else {}
    taken = []
    for step in range(NUM_WARM_UP_STEPS, NUM_WARM_UP_STEPS + num_steps):
        number, begun_s = threads.number, time.perf_counter()
        update(trial, loader.batch(step), decided)
        taken.append(time.perf_counter() - begun_s)
        threads.note_step(taken[-1], decided.batch_size * (decided.sequence_length or 1))
        if threads.number != number:
            taken.clear()
    step_s = statistics.mean(taken) if taken else _seconds(lambda: update(trial, loader.batch(0), decided))
    being_saved.clear()
    model = train_step.model.eval()
    evaluate, sample = hooks.evaluate, hooks.sample
    save_s = _seconds(lambda: _save_and_forget(trial, scratch))
    # An evaluation may find a new best model, which is saved: the weights, about a third of a checkpoint.
    evaluate_s = _seconds(lambda: evaluate(model, decided)) + save_s / 3 if evaluate else 0.0
    sample_s = _seconds(lambda: sample(model)) if sample else 0.0
    model.train()
    train_step.load_state_dict(weights)
    return StepTimings(step_s, evaluate_s, sample_s, save_s)


def _save_and_forget(trial: TrainState, scratch: Path) -> None:
    with tempfile.TemporaryDirectory(dir=scratch, prefix=".trial.", suffix=".tmp") as folder:
        tensors, facts = trial.gather()
        write_checkpoint(Path(folder), 0, snapshot(tensors), facts)


def _seconds(action: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    action()
    return time.perf_counter() - begun_s
