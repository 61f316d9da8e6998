"""The one training loop."""

import shutil
import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch

from textwright.batches.shards import Data
from textwright.checkpoint.training_state import (
    checkpoints,
    newest_checkpoint,
    prune,
    read_checkpoint,
    write_checkpoint,
)
from textwright.core.errors import TrainingStoppedError
from textwright.models.language_model import LanguageModel
from textwright.training.config import TrainConfig
from textwright.training.decide import decide, make_loader
from textwright.training.diary import Diary
from textwright.training.hooks import Hooks
from textwright.training.memory import peak_bytes, used_bytes
from textwright.training.objectives.catalog import make_objective
from textwright.training.report import TrainReport
from textwright.training.run_folder import Run
from textwright.training.signals import Interruption, finish_step_first
from textwright.training.step import TrainStep
from textwright.training.train_state import TrainState
from textwright.training.update import Update, update

Ending = Literal["finished", "patience", "interrupted"]


def train(
    model: LanguageModel,
    data: Data,
    config: TrainConfig,
    *,
    run: Run | None = None,
    hooks: Hooks | None = None,
    resume: bool = False,
) -> TrainReport:
    """Train a model, in place.

    Args:
        model: on the device to train on.
        data: its ``train`` tokens are learned from; what to evaluate is the hooks' affair.
        config: what it leaves open is decided first, and told to ``hooks.on_decided``.
        run: where journal, checkpoints and the finished model go; without one nothing is written.
        hooks: evaluation, samples, a watcher, the writer of the model folder.
        resume: go on from the run's newest checkpoint; from the start where there is none yet.

    Returns:
        The report. With a run and evaluations the model is left as it was at its best, else as it was at the end.

    Raises:
        InputError: the text is too short, the checkpoint is of another model, or another process trains the run.
        TrainingStoppedError: the loss or the gradient was not finite for ``max_bad_steps`` steps in a row.
    """
    hooks = hooks or Hooks()
    device = next(model.parameters()).device
    with ExitStack() as stack:
        if run is not None:
            stack.enter_context(run.locked())
        # Dropout seeds torch's generator at every step; the caller's is given back as it was.
        stack.enter_context(torch.random.fork_rng([device] if device.type == "cuda" else []))
        diary = stack.enter_context(Diary(run, hooks.on_row))
        session = _Session(model, data, config, run, hooks, diary)
        if resume:
            session.resume()
        return session.train(stack.enter_context(finish_step_first()))


class _Session:
    """One process's work on a run, from its first or newest checkpoint to its end or interruption."""

    def __init__(
        self, model: LanguageModel, data: Data, config: TrainConfig, run: Run | None, hooks: Hooks, diary: Diary
    ) -> None:
        self.begun_s = time.perf_counter()
        self.run, self.hooks, self.diary = run, hooks, diary
        self.device = next(model.parameters()).device
        train_step = TrainStep(model, make_objective(config.objective).to(self.device)).train()
        self.config = decide(train_step, data.train, config, hooks, saves=run is not None)
        hooks.on_decided(self.config)
        self.loader = make_loader(data.train, self.config)
        self.state = TrainState.begin(train_step, self.config)
        self.earlier_s = 0.0
        self.pace = _Pace()
        self.last_loss_nats: float | None = None

    def resume(self) -> None:
        """Take over the newest checkpoint, and forget what was written after it."""
        assert self.run is not None, "only a run can be resumed"
        newest = newest_checkpoint(self.run.checkpoints)
        if newest is not None:
            self.state.restore(*read_checkpoint(newest))
        progress = self.state.progress
        self.earlier_s = progress.elapsed_s
        self.diary.cut_after(progress.step)
        for folder in checkpoints(self.run.best):
            if _step_of(folder) > progress.step:
                shutil.rmtree(folder)

    def train(self, interruption: Interruption) -> TrainReport:
        """Step after step, until there is a reason to end."""
        config, progress = self.config, self.state.progress
        assert config.steps is not None
        self._tell("started", f"training to step {config.steps:,}", num_steps=config.steps, **self._decisions())

        ending = self._ending(interruption)
        while ending is None:
            self._step()
            last = progress.step == config.steps
            if last or _is_due(config.evaluate_every, progress.step):
                self._evaluate()
            if last or _is_due(config.sample_every, progress.step):
                self._sample()
            ending = self._ending(interruption)
            if ending or _is_due(config.checkpoint_every, progress.step):
                self._save()

        self.state.train_step.eval()
        if ending != "interrupted":
            self._finish()
        self._tell(ending, f"{_SAY[ending]} at step {progress.step:,}")
        return self._report(ending, interruption)

    def _step(self) -> None:
        begun_s = time.perf_counter()
        done = update(self.state, self.loader.batch(self.state.progress.step), self.config)
        self.pace.add(done.tokens, time.perf_counter() - begun_s)
        self.last_loss_nats = done.loss_nats
        self._write(
            "train",
            loss_nats=done.loss_nats,
            tokens=self.state.progress.tokens,
            tokens_per_s=round(self.pace.recent_tokens_per_s, 1),
            learning_rate=self.config.highest_learning_rate * done.fraction,
            grad_norm=done.grad_norm,
            memory_bytes=used_bytes(self.device),
        )
        if not done.applied:
            self._skipped(done)

    def _skipped(self, done: Update) -> None:
        progress = self.state.progress
        what = f"loss {done.loss_nats}, gradient norm {done.grad_norm}"
        self._tell("skipped", f"step {progress.step:,} was left out: {what}", skipped_steps=progress.skipped_steps)
        if progress.bad_steps >= self.config.max_bad_steps:
            self._tell("stopped", f"{progress.bad_steps} steps in a row were not finite")
            raise TrainingStoppedError(
                f"the loss or the gradient was not finite for {progress.bad_steps} steps in a row (step "
                f"{progress.step:,}: {what}); their updates were not applied; "
                "lower learning_rate and muon_learning_rate, or use --precision float32"
            )

    def _evaluate(self) -> None:
        """Measure, and keep the model if it is the best so far."""
        if self.hooks.evaluate is None:
            return
        progress = self.state.progress
        numbers = self.hooks.evaluate(self.state.train_step.model.eval())
        self.state.train_step.train()
        if not progress.best or numbers["val_loss_nats"] < progress.best["val_loss_nats"]:
            progress.best, progress.best_step, progress.evaluations_without_gain = dict(numbers), progress.step, 0
            if self.run is not None:
                write_checkpoint(self.run.best, progress.step, self.state.weights(), dict(numbers))
        else:
            progress.evaluations_without_gain += 1
        self._write("val", **numbers)

    def _sample(self) -> None:
        if self.hooks.sample is not None:
            sample = self.hooks.sample(self.state.train_step.model.eval())
            self.state.train_step.train()
            self._write("sample", **sample)

    def _ending(self, interruption: Interruption) -> Ending | None:
        """Why to end now, if at all."""
        assert self.config.steps is not None
        if self.state.progress.step >= self.config.steps:
            return "finished"
        if interruption.number is not None:
            return "interrupted"
        if self.config.patience and self.state.progress.evaluations_without_gain >= self.config.patience:
            return "patience"
        return None

    def _save(self) -> None:
        """Write a checkpoint; then drop the older ones, and the best models that no checkpoint left knows."""
        if self.run is None:
            return
        progress = self.state.progress
        progress.elapsed_s = self._elapsed_s()
        write_checkpoint(self.run.checkpoints, progress.step, *self.state.gather())
        prune(self.run.checkpoints, self.config.keep_checkpoints)
        oldest = _step_of(checkpoints(self.run.checkpoints)[-1])
        # Best models get better with their steps: of those the oldest checkpoint knows, it needs the last.
        known = [folder for folder in checkpoints(self.run.best) if _step_of(folder) <= oldest]
        for folder in known[1:]:
            shutil.rmtree(folder)

    def _finish(self) -> None:
        """Go back to the best model and write its folder, once."""
        if self.run is None:
            return
        if self.state.progress.best_step is not None:
            weights, _ = read_checkpoint(self.run.best / f"step-{self.state.progress.best_step}")
            self.state.restore_weights(weights)
        if self.hooks.save_model is not None:
            self.hooks.save_model(self.state.train_step.model, self.run.model)

    def _report(self, ending: Ending, interruption: Interruption) -> TrainReport:
        progress = self.state.progress
        return TrainReport(
            ended=ending,
            steps=progress.step,
            tokens=progress.tokens,
            elapsed_s=self._elapsed_s(),
            tokens_per_s=self.pace.tokens_per_s,
            first_loss_nats=progress.first_loss_nats,
            last_loss_nats=self.last_loss_nats,
            best=progress.best,
            best_step=progress.best_step,
            skipped_steps=progress.skipped_steps,
            peak_memory_bytes=peak_bytes(self.device),
            signal_number=interruption.number if ending == "interrupted" else None,
        )

    def _elapsed_s(self) -> float:
        return self.earlier_s + time.perf_counter() - self.begun_s

    def _write(self, kind: str, **fields: Any) -> None:
        elapsed_s = round(self._elapsed_s(), 3)
        self.diary.write(kind, step=self.state.progress.step, elapsed_s=elapsed_s, **fields)

    def _tell(self, event: str, message: str, **fields: Any) -> None:
        self._write("event", event=event, message=message, **fields)

    def _decisions(self) -> dict[str, Any]:
        return {name: getattr(self.config, name) for name in ("rows", "time", "micro_rows", "precision", "optimizer")}


_SAY = {
    "finished": "finished",
    "patience": "ended early: the validation loss no longer falls,",
    "interrupted": "interrupted and saved",
}


class _Pace:
    """Tokens per second of optimizer steps, over the session and lately."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, float]] = deque(maxlen=20)
        self._tokens, self._seconds = 0, 0.0

    def add(self, tokens: int, seconds: float) -> None:
        self._recent.append((tokens, seconds))
        self._tokens += tokens
        self._seconds += seconds

    @property
    def tokens_per_s(self) -> float:
        return self._tokens / self._seconds if self._seconds else 0.0

    @property
    def recent_tokens_per_s(self) -> float:
        seconds = sum(seconds for _, seconds in self._recent)
        return sum(tokens for tokens, _ in self._recent) / seconds if seconds else 0.0


def _is_due(every: int | None, step: int) -> bool:
    return every is not None and step % every == 0


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
