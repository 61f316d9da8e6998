"""Checkpoints written in the background, while the next steps are done."""

import threading
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from textwright.checkpoint.training_state import checkpoints, prune, snapshot, step_of, write_checkpoint
from textwright.core.files import remove_folder
from textwright.runs.run_folder import Run
from textwright.runs.run_logger import RunLogger


@dataclass(frozen=True)
class BestCheckpoint:
    """The weights of the best evaluation so far, and its numbers."""

    step: int
    weights: dict[str, Tensor]
    numbers: dict[str, float]


class AsyncCheckpointer:
    """Writes the checkpoints of a run, one at a time, each with the best model it knows of.

    The best model waits in memory for the next checkpoint: until there is one, resuming finds it again.
    """

    def __init__(self, run: Run, logger: RunLogger, keep: int) -> None:
        self.best: BestCheckpoint | None = None
        """The best model, where it is not on disk yet. Only the thread that trains sets it."""
        self._written: BestCheckpoint | None = None
        self._run, self._logger, self._keep = run, logger, keep
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def start(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take copies, and write them in the background. The save before must have been waited for."""
        assert self._thread is None, "one save in flight"
        arguments = (step, snapshot(tensors), facts, self.best)
        # A daemon: who leaves at once does not wait for it, and what it left half-written has no name yet.
        self._thread = threading.Thread(target=self._work, args=arguments, name="checkpointer", daemon=True)
        self._thread.start()

    def wait(self) -> OSError | None:
        """Wait for the save in flight, if any. Returns why the disk did not take it, or None."""
        if self._thread is None:
            return None
        self._thread.join()
        self._thread, failure, self._failure = None, self._failure, None
        if self.best is self._written:
            self.best = None
        self._written = None
        if failure is None or isinstance(failure, OSError):
            return failure
        raise failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Who is told to leave at once leaves; who fails lets the save in flight end first.
        if self._thread is not None and not (kind is not None and issubclass(kind, KeyboardInterrupt)):
            self._thread.join()

    def _work(self, step: int, tensors: dict[str, Tensor], facts: dict[str, Any], best: BestCheckpoint | None) -> None:
        try:
            self._logger.sync()
            if best is not None:
                write_checkpoint(self._run.best, best.step, best.weights, best.numbers)
                self._written = best
            write_checkpoint(self._run.checkpoints, step, tensors, facts)
            prune(self._run.checkpoints, self._keep)
            self._drop_best_models()
        except BaseException as failure:
            self._failure = failure

    def _drop_best_models(self) -> None:
        """Delete the best models that no checkpoint left knows: of those the oldest one knows, it needs the last."""
        oldest = step_of(checkpoints(self._run.checkpoints)[-1])
        known = [folder for folder in checkpoints(self._run.best) if step_of(folder) <= oldest]
        for folder in known[1:]:
            remove_folder(folder)
