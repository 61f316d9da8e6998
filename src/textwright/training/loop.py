"""The one training loop: what is asked of it, and what it is asked with."""

from contextlib import ExitStack

import torch

from textwright.core.world import world as current_world
from textwright.data.sources.base import BatchSource
from textwright.runs.run_folder import Run
from textwright.runs.run_logger import RunLogger
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.report import TrainReport
from textwright.training.signals import graceful_shutdown
from textwright.training.trainer import ResumeOptions, Trainer


def train(
    model_with_loss: ModelWithLoss,
    batches: BatchSource,
    config: TrainConfig,
    *,
    run: Run | None = None,
    callbacks: Callbacks | None = None,
    resume: ResumeOptions | None = None,
    fingerprint: str | None = None,
) -> TrainReport:
    """Train a model, in place.

    Where torch.distributed is initialised, its ranks train together: each calls this with the same model, source and
    config, and computes its rows of every step. The first rank owns the run and the callbacks, and says what was
    resolved; the others read its checkpoints to resume. A run by minutes is one process's.

    Args:
        model_with_loss: on the device to train on.
        batches: what is learned from; what to evaluate is the callbacks' affair.
        config: what it leaves open is decided first, and told to ``callbacks.on_resolved``.
        run: where journal, checkpoints and the finished model go, locked by the caller; without one nothing is written.
        callbacks: evaluation, samples, a watcher, the writer of the model folder.
        resume: go on from the run's newest whole checkpoint; from the start where there is none yet.
        fingerprint: a hash of all data of the run, which a run that goes on must have; that of the batches when not
            given.

    Returns:
        The report. With evaluations the model is left as it was at its best, else as it was at the end.

    Raises:
        InputError: the text is too short, the checkpoint is of another model, the data or the config changed, or the
            disk has no room for the run.
        TrainingStoppedError: ``max_skipped_steps`` updates in a row could not be trusted and were not applied.
    """
    world, device = current_world(), model_with_loss.model.device
    callbacks = (callbacks or Callbacks()) if world.rank == 0 else Callbacks()
    own_run = run if world.rank == 0 else None
    with ExitStack() as stack:
        # Dropout seeds torch's generator at every step; the caller's is given back as it was.
        stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        stack.callback(model_with_loss.end_training)
        logger = stack.enter_context(RunLogger(own_run, callbacks.on_row))
        fingerprint = fingerprint or batches.fingerprint
        trainer = Trainer(model_with_loss, batches, config, own_run, callbacks, logger, fingerprint, world)
        stack.callback(trainer.threads.close)
        if trainer.checkpointer is not None:
            stack.enter_context(trainer.checkpointer)
        if resume is not None:
            assert run is not None, "only a run can be resumed"
            trainer.resume(run, resume)
        callbacks.on_resolved(trainer.config)
        return trainer.train(stack.enter_context(graceful_shutdown()))
