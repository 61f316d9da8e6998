"""A run foreseen: its plan, with the time and the memory that trial steps took."""

from dataclasses import replace
from pathlib import Path

import torch

from textwright.batches.shards import Data
from textwright.core.allocator import keep_freed_memory
from textwright.models.language_model import LanguageModel
from textwright.training.config import TrainConfig
from textwright.training.decide import decide, make_loader, measure_timings, prepare_step
from textwright.training.hooks import Hooks
from textwright.training.memory import forget_peak, peak_bytes
from textwright.training.plan import Plan, make_plan
from textwright.training.threads import Threads

NUM_TRIAL_STEPS = 20


def foresee(model: LanguageModel, data: Data, config: TrainConfig, hooks: Hooks, *, scratch: Path) -> Plan:
    """The plan of a run that writes a run folder, measured on 20 steps and one pause of each kind.

    Args:
        model: on the device to train on; its weights are left as they were.
        data: its ``train`` tokens are learned from.
        config: how to train.
        hooks: evaluation and samples, timed once each.
        scratch: a folder that a checkpoint is written into and deleted from, on the disk that the run will be on.

    Raises:
        InputError: the text is too short for one row.
    """
    keep_freed_memory()
    device = next(model.parameters()).device
    threads = Threads(config.threads, device)
    try:
        # Trial steps seed torch's generator; the caller's is given back as it was.
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            train_step, config = prepare_step(model, config, hooks)
            decision = decide(train_step, data.train, config, hooks, threads=threads, saves=True)
            decided = decision.config
            plan = make_plan(train_step, data.train, decided, decision.activations, saves=True)
            hooks.on_decided(decided)
            forget_peak(device)
            loader = make_loader(data.train, decided)
            timings = measure_timings(train_step, loader, decided, hooks, threads, NUM_TRIAL_STEPS, scratch)
    finally:
        threads.close()
        model.end_training()
    return replace(plan, seconds=timings.total_s(decided), memory_bytes=peak_bytes(device))
