"""Checkpoints in the background: nothing that waits in memory is lost."""

import threading
from pathlib import Path
from typing import Any

import torch

from textwright.runs.checkpointer import AsyncCheckpointer, BestCheckpoint
from textwright.runs.run_folder import Run
from textwright.runs.run_logger import RunLogger
from textwright.training.config import TrainConfig


class _SetAtTheWorstMoment(AsyncCheckpointer):
    """Whenever the checkpointer's thread looks at the best model, the next evaluation finds a better one just after."""

    better: BestCheckpoint
    _held: BestCheckpoint | None = None

    @property
    def best(self) -> BestCheckpoint | None:  # type: ignore[override]
        held = self._held
        if threading.current_thread().name == "checkpointer":
            self._held = self.better
        return held

    @best.setter
    def best(self, value: BestCheckpoint | None) -> None:
        self._held = value


def _best(step: int) -> BestCheckpoint:
    return BestCheckpoint(step, {"weights/a": torch.full((2,), float(step))}, {"val_loss_nats": 1.0 / step})


def test_a_better_model_found_while_the_last_is_written_is_kept(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", TrainConfig())
    with RunLogger(run, lambda _: None) as logger:
        checkpointer = _SetAtTheWorstMoment(run, logger, keep=2)
        checkpointer.best, checkpointer.better = _best(1), _best(2)
        facts: dict[str, Any] = {"progress": {}}
        checkpointer.start(1, {"weights/a": torch.zeros(2)}, facts)
        assert checkpointer._thread is not None
        checkpointer._thread.join()
        if checkpointer.best is not None:  # the thread did not look: the evaluation comes before the wait at the latest
            checkpointer.best = checkpointer.better
        assert checkpointer.wait() is None
        assert checkpointer.best is checkpointer.better
        checkpointer.start(2, {"weights/a": torch.zeros(2)}, facts)
        assert checkpointer.wait() is None
    assert checkpointer.best is None
    assert (run.best / "step-2").is_dir()


def test_a_best_model_that_the_disk_did_not_take_waits_on(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", TrainConfig())
    run.best.write_text("no folder")
    with RunLogger(run, lambda _: None) as logger:
        checkpointer = AsyncCheckpointer(run, logger, keep=2)
        checkpointer.best = best = _best(1)
        checkpointer.start(1, {"weights/a": torch.zeros(2)}, {"progress": {}})
        assert isinstance(checkpointer.wait(), OSError)
        assert checkpointer.best is best
