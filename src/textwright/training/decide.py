"""What is found out once, before the first step: how much at once, how exactly, how long."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from textwright.batches.loader import Loader
from textwright.batches.shards import Tokens
from textwright.checkpoint.training_state import snapshot, write_checkpoint
from textwright.models.language_model import LanguageModel
from textwright.training.compilation import COMPILING, NO_COMPILER, compile_step, has_compiler, is_worth_compiling
from textwright.training.config import DEFAULT_STEPS, TrainConfig
from textwright.training.hooks import Hooks
from textwright.training.memory import Activations, free_bytes, measure_activations
from textwright.training.objectives.catalog import make_objective
from textwright.training.precision import choose_training_precision
from textwright.training.step import TrainStep
from textwright.training.train_state import TrainState
from textwright.training.update import update

NUM_WARM_UP_STEPS = 2
MIN_TRIAL_STEPS = 3
TRIAL_FRACTION = 0.03
"""Of the minutes, for trial steps: the longer the run, the longer the look."""
AIM = 0.98
"""Of the minutes, to be used: what trial steps do not show, such as drawing the display, takes the rest."""
MAX_TIMES = 10
"""How often a run evaluates, samples and saves when it is not told, at most."""
PAUSE_FRACTION = 0.12
"""Of the minutes, for these pauses: a short run makes fewer of them."""
MEMORY_FRACTION = 0.25
"""Of the free memory, for the activations of one micro-batch."""
MAX_ACTIVATION_BYTES = 2**31
"""On a CPU no more than this: larger micro-batches leave its caches and are no faster."""


@dataclass(frozen=True)
class Costs:
    """Seconds that the parts of a run take."""

    step_s: float
    evaluate_s: float
    sample_s: float
    save_s: float

    def total_s(self, config: TrainConfig) -> float:
        """Of a run with a decided config, from its first step to its end."""
        assert config.steps is not None
        pauses = (
            (config.evaluate_every, self.evaluate_s),
            (config.sample_every, self.sample_s),
            (config.checkpoint_every, self.save_s),
        )
        return config.steps * self.step_s + sum(-(-config.steps // every) * once_s for every, once_s in pauses if every)


def decide(
    train_step: TrainStep, tokens: Tokens, config: TrainConfig, hooks: Hooks, *, saves: bool
) -> tuple[TrainConfig, Activations]:
    """The config with nothing left open; a config that has nothing open comes back as it is.

    Args:
        train_step: left as it was: trial steps are undone.
        tokens: the text to train on.
        config: as the user gave it.
        hooks: timed once each where the run has minutes.
        saves: whether the run writes checkpoints, which take time too.

    Returns:
        The config, and what a forward pass keeps in memory.

    Raises:
        InputError: the text is too short for one row.
    """
    begun_s = time.perf_counter()
    model = train_step.model
    device = next(train_step.parameters()).device
    precision = choose_training_precision(device, config.precision, model.width)
    row_tokens = config.time or model.context_length
    decided = config.decided(
        steps=config.steps or DEFAULT_STEPS, time=row_tokens, micro_rows=config.micro_rows or 1, precision=precision
    )
    loader = make_loader(tokens, decided)
    activations = measure_activations(train_step, decided)
    if config.micro_rows is None:
        decided = decided.model_copy(update={"micro_rows": _rows_that_fit(device, activations, config.rows)})
    if config.minutes is None:
        return decided, activations
    steps, times = _steps_that_fit(train_step, loader, config, decided, hooks, begun_s, saves)
    assert decided.micro_rows is not None
    timed = config.decided(
        steps=steps, time=row_tokens, micro_rows=decided.micro_rows, precision=precision, times=times
    )
    return timed, activations


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
    if config.recompute:
        model.recompute_for_training()
    return train_step, config.model_copy(update={"compile": compiles})


def make_loader(tokens: Tokens, config: TrainConfig) -> Loader:
    """The source of batches that a decided config describes."""
    assert config.time is not None
    return Loader(tokens, rows=config.rows, time=config.time, seed=config.seed, layout=config.layout)


def _rows_that_fit(device: torch.device, activations: Activations, rows: int) -> int:
    """How many rows' activations fit. Depends on the machine's memory, not on a clock."""
    budget = int(free_bytes(device) * MEMORY_FRACTION)
    if device.type == "cpu":
        budget = min(budget, MAX_ACTIVATION_BYTES)
    most = max(1, min(rows, (budget - activations.fixed_bytes) // activations.row_bytes))
    num_parts = -(-rows // most)
    return -(-rows // num_parts)  # parts of nearly equal size


def _steps_that_fit(
    train_step: TrainStep,
    loader: Loader,
    config: TrainConfig,
    decided: TrainConfig,
    hooks: Hooks,
    begun_s: float,
    saves: bool,
) -> tuple[int, int]:
    """The steps that end with the minutes, and the times the run pauses to evaluate, sample and save meanwhile."""
    assert config.minutes is not None
    budget_s = config.minutes * 60
    costs = measure_costs(train_step, loader, decided, hooks, saves, MIN_TRIAL_STEPS, budget_s * TRIAL_FRACTION)
    step_s = costs.step_s
    left_s = budget_s * AIM - (time.perf_counter() - begun_s)
    pause_s = 0.0
    for every, once_s in (
        (config.evaluate_every, costs.evaluate_s),
        (config.sample_every, costs.sample_s),
        (config.checkpoint_every, costs.save_s),
    ):
        if every is None:
            pause_s += once_s
        else:
            step_s += once_s / every
    times = max(1, min(MAX_TIMES, int(PAUSE_FRACTION * left_s / pause_s) if pause_s else MAX_TIMES))
    return max(1, int((left_s - times * pause_s) / step_s)), times


def measure_costs(
    train_step: TrainStep,
    loader: Loader,
    decided: TrainConfig,
    hooks: Hooks,
    saves: bool,
    min_steps: int,
    min_s: float = 0.0,
) -> Costs:
    """Time at least so many steps for at least so long, and each pause once; the weights are left as they were.

    What a run holds while it steps is held here too: a copy of the weights, as of the best model, and one of the state.
    """
    weights = {name: value.clone() for name, value in train_step.state_dict().items()}
    trial = TrainState.begin(train_step, decided)
    for step in range(NUM_WARM_UP_STEPS):
        update(trial, loader.batch(step), decided)
    saves_on_the_way = saves and decided.checkpoint_every != decided.steps
    being_saved = snapshot(trial.gather()[0]) if saves_on_the_way else {}
    step_s = _step_seconds(trial, loader, decided, min_steps, min_s)
    being_saved.clear()
    model = train_step.model.eval()
    evaluate, sample = hooks.evaluate, hooks.sample
    save_s = _seconds(lambda: _save_and_forget(trial)) if saves else 0.0
    # An evaluation may find a new best model, which is saved: the weights, about a third of a checkpoint.
    evaluate_s = _seconds(lambda: evaluate(model)) + save_s / 3 if evaluate else 0.0
    sample_s = _seconds(lambda: sample(model)) if sample else 0.0
    model.train()
    train_step.load_state_dict(weights)
    return Costs(step_s, evaluate_s, sample_s, save_s)


def _step_seconds(trial: TrainState, loader: Loader, config: TrainConfig, min_steps: int, min_s: float) -> float:
    """Mean seconds of a step."""
    begun_s, num_steps = time.perf_counter(), 0
    while num_steps < min_steps or time.perf_counter() - begun_s < min_s:
        update(trial, loader.batch(NUM_WARM_UP_STEPS + num_steps), config)
        num_steps += 1
    return (time.perf_counter() - begun_s) / num_steps


def _save_and_forget(trial: TrainState) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tensors, facts = trial.gather()
        write_checkpoint(Path(folder), 0, snapshot(tensors), facts)


def _seconds(action: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    action()
    return time.perf_counter() - begun_s
