"""A run foreseen: its plan, with the time and the memory that trial steps took."""

from dataclasses import replace
from pathlib import Path

import torch

from textwright.core.allocator import keep_freed_memory
from textwright.data.sources.base import BatchSource
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.memory import forget_peak, peak_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.plan import Plan, make_plan
from textwright.training.resolve_config import measure_timings, prepare_step, resolve_config
from textwright.training.threads import Threads

NUM_TRIAL_STEPS = 20


def estimate_run(
    model_with_loss: ModelWithLoss, batches: BatchSource, config: TrainConfig, callbacks: Callbacks, *, scratch: Path
) -> Plan:
    """The plan of a run that writes a run folder, measured on 20 steps and one pause of each kind.

    Args:
        model_with_loss: on the device to train on; its weights are left as they were.
        batches: what is learned from.
        config: how to train, as given.
        callbacks: evaluation and samples, timed once each.
        scratch: a folder that a checkpoint is written into and deleted from, on the disk that the run will be on.
    """
    keep_freed_memory()
    device = model_with_loss.model.device
    threads = Threads(config.threads, device)
    try:
        # Trial steps seed torch's generator; the caller's is given back as it was.
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            config = prepare_step(model_with_loss, config, callbacks)
            decision = resolve_config(model_with_loss, batches, config, callbacks, threads=threads, saves=True)
            resolved = decision.config
            plan = make_plan(model_with_loss, batches, resolved, decision.activations, saves=True)
            callbacks.on_resolved(resolved)
            forget_peak(device)
            timings = measure_timings(model_with_loss, batches, resolved, callbacks, threads, NUM_TRIAL_STEPS, scratch)
    finally:
        threads.close()
        model_with_loss.end_training()
    return replace(plan, seconds=timings.total_s(resolved), memory_bytes=peak_bytes(device))
