"""A run foreseen: its plan, with the time and the memory that trial steps took."""

from dataclasses import replace

from textwright.batches.shards import Data
from textwright.core.allocator import keep_freed_memory
from textwright.models.language_model import LanguageModel
from textwright.training.config import TrainConfig
from textwright.training.decide import decide, make_loader, measure_costs, prepare_step
from textwright.training.hooks import Hooks
from textwright.training.memory import forget_peak, peak_bytes
from textwright.training.plan import Plan, make_plan

NUM_TRIAL_STEPS = 20


def foresee(model: LanguageModel, data: Data, config: TrainConfig, hooks: Hooks) -> Plan:
    """The plan of a run that writes a run folder, measured on 20 steps and one pause of each kind.

    Args:
        model: on the device to train on; its weights are left as they were.
        data: its ``train`` tokens are learned from.
        config: how to train.
        hooks: evaluation and samples, timed once each.

    Raises:
        InputError: the text is too short for one row.
    """
    keep_freed_memory()
    train_step, config = prepare_step(model, config, hooks)
    decided, activations = decide(train_step, data.train, config, hooks, saves=True)
    plan = make_plan(train_step, data.train, decided, activations, saves=True)
    hooks.on_decided(decided)
    loader = make_loader(data.train, decided)
    device = next(model.parameters()).device
    forget_peak(device)
    costs = measure_costs(train_step, loader, decided, hooks, True, NUM_TRIAL_STEPS)
    return replace(plan, seconds=costs.total_s(decided), memory_bytes=peak_bytes(device))
