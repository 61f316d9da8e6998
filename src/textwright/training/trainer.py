"""What the loop does: a run's work in one process, from its first or newest checkpoint to its end or interruption."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from textwright.checkpoint.training_state import checkpoints, damage, read_checkpoint, snapshot, step_of
from textwright.core.allocator import keep_freed_memory
from textwright.core.config import read_config
from textwright.core.console import command_line
from textwright.core.errors import InputError, TrainingStoppedError
from textwright.core.files import remove_folder
from textwright.core.journal import read_rows
from textwright.core.world import World
from textwright.data.sources.base import BatchSource
from textwright.runs.checkpointer import AsyncCheckpointer, BestCheckpoint
from textwright.runs.fingerprint import RunFingerprint
from textwright.runs.run_folder import Run
from textwright.runs.run_logger import RunLogger
from textwright.training.callbacks import Callbacks, Evaluation
from textwright.training.clock import Clock, Length, read_length
from textwright.training.config import ResolvedTrainConfig, TrainConfig
from textwright.training.memory import peak_bytes, used_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.parameter_plan import stage_at
from textwright.training.plan import make_plan
from textwright.training.ranks import check_buffers, check_world
from textwright.training.report import STOP_MESSAGES, StopReason, TrainReport
from textwright.training.resolve_config import prepare_step, resolve_config
from textwright.training.schedules import place_in_schedule
from textwright.training.signals import StopRequest
from textwright.training.threads import Threads
from textwright.training.throughput import Throughput
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

LENGTH = "length"
"""The event of a run that is to have other steps by the clock. One that is still to come stays in the journal."""
COMPILED_CHANGE_S = 30.0
"""What it takes to compile a step for another number of threads, about."""


@dataclass(frozen=True)
class ResumeOptions:
    """That a run goes on, and how."""

    accepts_changed_data: bool = False
    """Go on although the data is not what the run was begun with; the journal says so."""
    notes: tuple[str, ...] = ()
    """What was found before, for the journal."""


class Trainer:
    """One process's work on a run, from its first or newest checkpoint to its end or stop_request."""

    def __init__(
        self,
        model_with_loss: ModelWithLoss,
        batches: BatchSource,
        config: TrainConfig,
        run: Run | None,
        callbacks: Callbacks,
        logger: RunLogger,
        fingerprint: str,
        world: World,
    ) -> None:
        self.begun_s = time.perf_counter()
        self.run, self.callbacks, self.logger, self.world = run, callbacks, logger, world
        self.device = model_with_loss.model.device
        keep_freed_memory()
        self.earlier_s = 0.0
        check_world(config, world)
        config = prepare_step(model_with_loss, config, callbacks)
        self.trained_parameters = model_with_loss.num_trained
        self.threads = Threads(config.threads, self.device, change_s=COMPILED_CHANGE_S if config.compile else 0.0)
        saves = run is not None
        decision = resolve_config(
            model_with_loss, batches, config, callbacks, threads=self.threads, saves=saves, elapsed_s=self._elapsed_s
        )
        self.clock, self.timings = None, decision.timings
        # What was found on one processor holds for all ranks.
        found = world.from_first(decision.config.model_dump(mode="json"))
        self.config = decision.config if world.rank == 0 else read_config(ResolvedTrainConfig, found, "the first rank")
        if config.minutes is not None:
            self.clock = Clock(config.minutes * 60, config)
        per_epoch = callbacks.steps_per_epoch
        plan = make_plan(
            model_with_loss, batches, self.config, decision.activations, saves=saves, steps_per_epoch=per_epoch
        )
        callbacks.on_plan(plan)
        self.batches = batches
        model_with_loss.mark(stage_at(self.config.parameter_plan, 0))
        world.copy_from_first(list(model_with_loss.saved_state().values()))
        self.state = TrainState.begin(model_with_loss, self.config)
        self.changes_to_come: deque[Length] = deque()
        if decision.length is not None:
            self.state.progress.lengths.append(asdict(decision.length))
        self.decision = decision
        self.fingerprint = RunFingerprint.of(model_with_loss.model, fingerprint, batches.fingerprint, self.config)
        self.checkpointer: AsyncCheckpointer | None = None
        if run is not None:
            run.check_space(sum(p.nbytes for p in model_with_loss.parameters()), self.config.keep_checkpoints)
            self.checkpointer = AsyncCheckpointer(run, logger, self.config.keep_checkpoints)
        self.best: BestCheckpoint | None = None
        """The best model of a run without a folder; a checkpointer has that of one with a folder."""
        self.failed_saves, self.disk_is_full = 0, False
        self.throughput = Throughput()
        self.last_loss_nats: float | None = None

    def resume(self, run: Run, resume: ResumeOptions) -> None:
        """Take over the newest checkpoint of a run that is whole, and forget what was written after it."""
        newest, passed_over = run.newest_checkpoint() if self.world.rank == 0 else (None, [])
        name = self.world.from_first(newest.name if newest else None)
        newest = run.checkpoints / name if name else None
        notes = [*resume.notes, *(f"passed over: {why}" for why in passed_over)]
        if newest is not None:
            tensors, facts = read_checkpoint(newest)
            notes += self.fingerprint.compare(
                facts["identity"],
                may_change=self.config.resumable_changes,
                accepts_changed_data=resume.accepts_changed_data,
            )
            # The optimizer has the state of the stage that did the last step.
            self.state.begin_stage(stage_at(self.config.parameter_plan, max(0, step_of(newest) - 1)))
            self.state.load_state_dict(tensors, facts["progress"])
        progress = self.state.progress
        self.earlier_s = progress.elapsed_s
        self._go_on_with_lengths(run)
        self.logger.cut_after(progress.step, but=LENGTH if self.changes_to_come else None)
        for folder in checkpoints(run.best) if self.world.rank == 0 else ():
            if step_of(folder) > progress.step:
                remove_folder(folder)
        where = f"from {newest.name}" if newest else "from the beginning: there is no whole checkpoint"
        self._log_event("resumed", "; ".join([f"going on {where}", *notes]), notes=notes)

    def train(self, stop_request: StopRequest) -> TrainReport:
        """Step after step, until there is a reason to end."""
        progress = self.state.progress
        said = f"training to step {self.config.steps:,}"
        self._log_event("started", said, num_steps=self.config.steps, **self._decisions())
        self._log_precision()
        if self.callbacks.looks_first and progress.step == 0:
            self._look_first()
        stop_reason = self._stop_reason(stop_request)
        while stop_reason is None:
            self._step()
            self._look_at_the_clock()
            last = progress.step == self.config.steps
            if last or _is_due(self.config.evaluate_every, progress.step):
                self._timed("evaluate_every", self._evaluate)
            if last or _is_due(self.config.sample_every, progress.step):
                self._timed("sample_every", self._sample)
            stop_reason = self._stop_reason(stop_request)
            if stop_reason or _is_due(self.config.checkpoint_every, progress.step):
                self._timed("checkpoint_every", self._save)

        self._finish_saving()
        self.state.model_with_loss.eval()
        if stop_reason != "interrupted":
            self._finish()
            self.world.copy_from_first(list(self.state.model_with_loss.saved_state().values()))
        self._log_event(stop_reason, f"{STOP_MESSAGES[stop_reason]} at step {progress.step:,}")
        return self._report(stop_reason, stop_request)

    def _step(self) -> None:
        step = self.state.progress.step
        stage = stage_at(self.config.parameter_plan, step)
        if stage != self.state.model_with_loss.stage:
            self.state.begin_stage(stage)
            trained, of = self.state.model_with_loss.num_trained, self.state.model_with_loss.num_parameters
            self._log_event(
                "stage", f"from here on {trained:,} of {of:,} parameters are trained", trained_parameters=trained
            )
        begun_s = time.perf_counter()
        done = train_step(self.state, self.batches.batch(step, self.world), self.config, self.world)
        seconds = time.perf_counter() - begun_s
        self.throughput.add(done.tokens, seconds)
        if self.clock is not None:
            self.clock.note_step(seconds)
        self.last_loss_nats = done.loss_nats
        self._write(
            "train",
            loss_nats=done.loss_nats,
            tokens=self.state.progress.tokens,
            tokens_per_s=round(self.throughput.recent_tokens_per_s, 1),
            learning_rate=self.config.learning_rate * done.fraction,
            grad_norm=done.grad_norm,
            memory_bytes=used_bytes(self.device),
            **{f"loss_nats/{part}": loss for part, loss in {**done.kind_losses, **done.task_losses}.items()},
        )
        if done.skip_reason is not None:
            self._skipped(done.skip_reason)
        self.threads.note_step(seconds, done.tokens)
        said = self.threads.take_line()
        if said is not None:
            self._log_event("threads", said, threads=self.threads.number)

    def _look_at_the_clock(self) -> None:
        """Change how long the run is, where its minutes ask for it; after a resume, where they asked for it before."""
        progress = self.state.progress
        if self.changes_to_come and self.changes_to_come[0].from_step == progress.step:
            self._take_length(self.changes_to_come.popleft())
        if self.clock is None or self.timings is None or progress.step == self.config.steps:
            return
        lengths = [(length["from_step"], length["steps"]) for length in progress.lengths]
        if self.clock.is_due(self._elapsed_s(), place_in_schedule(progress.step, lengths)):
            before = self.config.steps
            length = self.clock.look(self.timings, from_step=progress.step, elapsed_s=self._elapsed_s())
            self._take_length(length)
            said = f"by the clock: to step {length.steps:,} instead of {before:,}" if length.steps != before else ""
            self._log_event(LENGTH, said, num_steps=length.steps, **asdict(length))

    def _take_length(self, length: Length) -> None:
        """From this step on the run is to be so long."""
        self.config = length.applied_to(self.config)
        self.fingerprint = replace(self.fingerprint, training=self.config)
        self.state.progress.lengths.append(asdict(length))
        self.callbacks.on_resolved(self.config)

    def _go_on_with_lengths(self, run: Run) -> None:
        """Take over how long the run was to be, at the checkpoint and after it, unless it gets other steps now."""
        progress = self.state.progress
        if not progress.lengths:
            return
        rows = [row for row in read_rows(run.journal) if row.get("event") == LENGTH]
        to_come = [read_length(row) for row in rows if row["from_step"] > progress.step]
        last = to_come[-1] if to_come else read_length(progress.lengths[-1])
        if last.steps != self.config.steps:
            progress.lengths.clear()  # the schedule is that of a run of so many steps from the beginning
            return
        self.changes_to_come.extend(to_come)
        self.config = read_length(progress.lengths[-1]).applied_to(self.config)

    def _timed(self, name: str, pause: Callable[[], None]) -> None:
        """Make a pause, and let the clock know what it took."""
        begun_s = time.perf_counter()
        pause()
        if self.clock is not None:
            self.clock.note_pause(name, time.perf_counter() - begun_s)

    def _log_precision(self) -> None:
        """Write the rates down that precision was chosen by."""
        rates = self.decision.rates
        if rates is not None:
            flops = {"float32_flops_per_s": rates.float32, "bfloat16_flops_per_s": rates.bfloat16}
            self._log_event("precision", f"{self.config.precision}: a step does {rates}", **flops)

    def _skipped(self, why: str) -> None:
        progress = self.state.progress
        self._log_event("skipped", f"step {progress.step:,} was left out: {why}", skipped_steps=progress.skipped_steps)
        if progress.bad_steps >= self.config.max_skipped_steps:
            self._finish_saving()
            self._log_event("stopped", f"{progress.bad_steps} steps in a row were left out")
            raise TrainingStoppedError(
                f"{progress.bad_steps} steps in a row were left out, the last one, {progress.step:,}, with {why}; no "
                f"weight was moved by them; {self._where_to_go_on()}"
            )

    def _where_to_go_on(self) -> str:
        newest = self.run.newest_checkpoint()[0] if self.run is not None else None
        anew = "start anew with lower learning rates, or with --precision float32"
        if newest is None or self.run is None:
            return anew
        more = ("--max-skipped-steps", 2 * self.config.max_skipped_steps)
        again = command_line("train", "--resume", self.run.folder, *more)
        return f"go on from step {step_of(newest):,} with: {again}; or {anew}"

    def _look_first(self) -> None:
        """Measure and sample what is not taught yet; a run that goes on from its beginning may have them already."""
        written = {row["kind"] for row in read_rows(self.run.journal)} if self.run else set[str]()
        self._evaluate(is_new="val" not in written)
        if "sample" not in written:
            self._sample()

    def _evaluate(self, *, is_new: bool = True) -> None:
        """Measure, and keep the model if it is the best so far."""
        evaluation = None
        if self.callbacks.evaluate is not None:
            evaluation = self.callbacks.evaluate(self.state.model_with_loss.model.eval(), self.config)
            self.state.model_with_loss.train()
        found = self.world.from_first(asdict(evaluation) if evaluation is not None else None)
        if found is None:
            return
        evaluation, progress = evaluation or Evaluation(**found), self.state.progress
        if evaluation.is_better_than(progress.best):
            progress.best, progress.best_step, progress.evaluations_without_gain = found["metrics"], progress.step, 0
            if self.world.rank == 0:
                best = BestCheckpoint(progress.step, snapshot(self.state.weights()), dict(evaluation.metrics))
                if self.checkpointer is not None:
                    self.checkpointer.best = best
                else:
                    self.best = best
        elif progress.best:  # a figure that has no meaning yet ends nothing
            progress.evaluations_without_gain += 1
        if is_new:
            self._write("val", **evaluation.metrics)

    def _sample(self) -> None:
        if self.callbacks.sample is not None:
            sample = self.callbacks.sample(self.state.model_with_loss.model.eval())
            self.state.model_with_loss.train()
            self._write("sample", **sample)

    def _stop_reason(self, stop_request: StopRequest) -> StopReason | None:
        """Why to end now, if at all."""
        # A signal to one rank is one to all; one that comes just now is not forgotten.
        for number in self.world.gather(stop_request.number):
            if number is not None and stop_request.number is None:
                stop_request.number = number
        if self.state.progress.step >= self.config.steps:
            return "finished"
        if stop_request.number is not None:
            return "interrupted"
        if (
            self.config.early_stopping_patience
            and self.state.progress.evaluations_without_gain >= self.config.early_stopping_patience
        ):
            return "patience"
        return None

    def _save(self) -> None:
        """Begin to write a checkpoint; training goes on meanwhile."""
        check_buffers(self.state.model_with_loss, self.world)
        if self.checkpointer is None:
            return
        self._finish_saving()
        progress = self.state.progress
        progress.elapsed_s = self._elapsed_s()
        tensors, facts = self.state.state_dict()
        self.checkpointer.start(progress.step, tensors, {"progress": facts, "identity": self.fingerprint.as_json()})

    def _finish_saving(self) -> None:
        """Wait for the checkpoint in the making. A disk that does not take it ends nothing."""
        failure = self.checkpointer.wait() if self.checkpointer is not None else None
        if failure is not None:
            self.failed_saves += 1
            self._log_event("save_failed", f"a checkpoint could not be written: {failure}; the one before is whole")

    def _finish(self) -> None:
        """Go back to the best model and write its folder, once."""
        if self.run is None or self.checkpointer is None:
            if self.best is not None:
                self.state.load_weights(self.best.weights)
            return
        best_step = self.state.progress.best_step
        if self.checkpointer.best is not None:
            self.state.load_weights(self.checkpointer.best.weights)
        elif best_step is not None:
            best = self.run.best / f"step-{best_step}"
            if (found := damage(best)) is not None:
                again = command_line("train", "--resume", self.run.folder)
                raise InputError(found, fix=f"{again} goes back to what is whole")
            self.state.load_weights(read_checkpoint(best)[0])
        if self.callbacks.save_model is not None:
            self.callbacks.save_model(self.state.model_with_loss.model, self.run.model)

    def _report(self, stop_reason: StopReason, stop_request: StopRequest) -> TrainReport:
        progress = self.state.progress
        return TrainReport(
            end_reason=stop_reason,
            steps=progress.step,
            tokens=progress.tokens,
            elapsed_s=self._elapsed_s(),
            tokens_per_s=self.throughput.tokens_per_s,
            first_loss_nats=progress.first_loss_nats,
            last_loss_nats=self.last_loss_nats,
            best=progress.best,
            best_step=progress.best_step,
            skipped_steps=progress.skipped_steps,
            failed_saves=self.failed_saves,
            peak_memory_bytes=peak_bytes(self.device),
            trained_parameters=self.trained_parameters,
            signal_number=stop_request.number if stop_reason == "interrupted" else None,
        )

    def _elapsed_s(self) -> float:
        return self.earlier_s + time.perf_counter() - self.begun_s

    def _write(self, kind: str, **fields: Any) -> None:
        elapsed_s = round(self._elapsed_s(), 3)
        self.logger.write(kind, step=self.state.progress.step, elapsed_s=elapsed_s, **fields)
        failure = self.logger.failure
        if (failure is not None) != self.disk_is_full:
            self.disk_is_full = failure is not None
            said = f"the journal waits in memory: {failure}" if failure else "the journal is written again"
            self._log_event("journal", said)

    def _log_event(self, event: str, message: str, **fields: Any) -> None:
        self._write("event", event=event, message=message, **fields)

    def _decisions(self) -> dict[str, Any]:
        names = ("batch_size", "sequence_length", "micro_batch_size", "precision", "optimizer")
        return {name: getattr(self.config, name) for name in names}


def _is_due(every: int, step: int) -> bool:
    return step % every == 0
