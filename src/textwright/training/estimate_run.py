"""A run foreseen: its plan, with the time and the memory that trial steps took."""

from dataclasses import replace
from pathlib import Path

import torch

from textwright.core.allocator import keep_freed_memory
from textwright.data.sources.base import BatchSource
from textwright.training.callbacks import Callbacks
from textwright.training.config import ResolvedTrainConfig, TrainConfig
from textwright.training.memory import forget_peak, peak_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.parameter_plan import stage_at
from textwright.training.plan import Plan, PlannedStage, make_plan
from textwright.training.resolve_config import measure_step_s, measure_timings, prepare_step, resolve_config
from textwright.training.threads import Threads

NUM_TRIAL_STEPS = 20
NUM_STAGE_STEPS = 4
"""Of each stage but the one in which most is trained."""


def estimate_run(
    model_with_loss: ModelWithLoss, batches: BatchSource, config: TrainConfig, callbacks: Callbacks, *, scratch: Path
) -> Plan:
    """The plan of a run that writes a run folder, measured on 20 steps and one pause of each kind; of several stages on
    those in which most is trained, and on 4 of each other.

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
            plan = make_plan(
                model_with_loss,
                batches,
                resolved,
                decision.activations,
                saves=True,
                steps_per_epoch=callbacks.steps_per_epoch,
            )
            callbacks.on_resolved(resolved)
            forget_peak(device)
            timings = measure_timings(model_with_loss, batches, resolved, callbacks, threads, NUM_TRIAL_STEPS, scratch)
            memory_bytes = peak_bytes(device)
            stages = _timed(plan.stages, model_with_loss, batches, resolved, timings.step_s)
            timings = replace(timings, step_s=_mean_step_s(stages, resolved.steps))
    finally:
        threads.close()
        model_with_loss.end_training()
    first_s = timings.evaluate_s + timings.sample_s if callbacks.looks_first else 0.0
    seconds = timings.total_s(resolved) + first_s
    return replace(plan, seconds=seconds, memory_bytes=memory_bytes, stages=stages)


def _timed(
    stages: tuple[PlannedStage, ...],
    model_with_loss: ModelWithLoss,
    batches: BatchSource,
    resolved: ResolvedTrainConfig,
    longest_s: float,
) -> tuple[PlannedStage, ...]:
    """The stages with what a step of each takes.

    Args:
        stages: not timed yet.
        model_with_loss: marked by the stage in which most is trained.
        batches: what is stepped on.
        resolved: nothing left open.
        longest_s: what a step of that stage takes.
    """
    largest, found = model_with_loss.stage, list[PlannedStage]()
    for stage in stages:
        rules = stage_at(resolved.parameter_plan, stage.from_step)
        if rules == largest:
            seconds = longest_s
        else:
            model_with_loss.mark(rules)
            seconds = measure_step_s(model_with_loss, batches, resolved, NUM_STAGE_STEPS)
        found.append(replace(stage, step_seconds=seconds))
    return tuple(found)


def _mean_step_s(stages: tuple[PlannedStage, ...], steps: int) -> float:
    """What a step takes over all stages."""
    ends = [*(stage.from_step for stage in stages[1:]), steps]
    whole_s = sum(
        (end - stage.from_step) * (stage.step_seconds or 0.0) for stage, end in zip(stages, ends, strict=True)
    )
    return whole_s / steps
