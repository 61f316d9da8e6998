"""Checkpoints in the background: nothing that waits in memory is lost."""

import threading
from pathlib import Path
from typing import Any

import torch

from textwright.training.config import TrainConfig
from textwright.training.diary import Diary
from textwright.training.run_folder import Run
from textwright.training.saver import Best, Saver


class _SetAtTheWorstMoment(Saver):
    """Whenever the saver's thread looks at the best model, the next evaluation finds a better one just after."""

    better: Best
    _held: Best | None = None

    @property
    def best(self) -> Best | None:  # type: ignore[override]
        held = self._held
        if threading.current_thread().name == "saver":
            self._held = self.better
        return held

    @best.setter
    def best(self, value: Best | None) -> None:
        self._held = value


def _best(step: int) -> Best:
    return Best(step, {"weights/a": torch.full((2,), float(step))}, {"val_loss_nats": 1.0 / step})


def test_a_better_model_found_while_the_last_is_written_is_kept(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", TrainConfig())
    with Diary(run, lambda _: None) as diary:
        saver = _SetAtTheWorstMoment(run, diary, keep=2)
        saver.best, saver.better = _best(1), _best(2)
        facts: dict[str, Any] = {"progress": {}}
        saver.start(1, {"weights/a": torch.zeros(2)}, facts)
        assert saver._thread is not None
        saver._thread.join()
        if saver.best is not None:  # the thread did not look: the evaluation comes before the wait at the latest
            saver.best = saver.better
        assert saver.wait() is None
        assert saver.best is saver.better
        saver.start(2, {"weights/a": torch.zeros(2)}, facts)
        assert saver.wait() is None
    assert saver.best is None
    assert (run.best / "step-2").is_dir()


def test_a_best_model_that_the_disk_did_not_take_waits_on(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", TrainConfig())
    run.best.write_text("no folder")
    with Diary(run, lambda _: None) as diary:
        saver = Saver(run, diary, keep=2)
        saver.best = best = _best(1)
        saver.start(1, {"weights/a": torch.zeros(2)}, {"progress": {}})
        assert isinstance(saver.wait(), OSError)
        assert saver.best is best
