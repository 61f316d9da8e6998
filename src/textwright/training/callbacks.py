"""What the loop asks of the stages above it, handed over by whoever starts it; callbacks hold no state of the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.models.network import Network
from textwright.training.config import VAL_LOSS, ResolvedTrainConfig
from textwright.training.plan import Plan


def _ignore(_: Any) -> None:
    pass


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and what of it says which model is the best."""

    metrics: dict[str, float]
    """By name, for a ``val`` row."""
    best_by: str = VAL_LOSS
    """The metric that decides."""
    higher_is_better: bool = False
    """Which way."""

    def is_better_than(self, best: Mapping[str, float]) -> bool:
        """Whether it is better than the metrics of the best one so far; the first one is.

        One without the metric that decides, which has no meaning there, is not.
        """
        now, before = self.metrics.get(self.best_by), best.get(self.best_by)
        if now is None or before is None:
            return now is not None
        return now > before if self.higher_is_better else now < before


@dataclass(frozen=True)
class TaskTiming:
    """How many examples of each task an evaluation puts to the model, and about what that takes."""

    num_examples: int | None
    seconds: float


@dataclass(frozen=True)
class Callbacks:
    """Functions the loop calls. Models come to them in evaluation mode."""

    evaluate: Callable[[Network, ResolvedTrainConfig], Evaluation] | None = None
    """Measures the model in the config's precision."""
    time_tasks: Callable[[Network, int | None, float | None], TaskTiming] | None = None
    """Of tasks that are a part of evaluations, in evaluation mode: gets the number of examples that was given, and the
    seconds that they may take where it was not; None where nobody counts them."""
    sample: Callable[[Network], dict[str, Any]] | None = None
    """Fields of a ``sample`` row, ``text`` among them."""
    looks_first: bool = False
    """Whether a trained model is evaluated, and a sample taken, before the first step, too: it may be the best."""
    steps_per_epoch: float | None = None
    """Where a trained model is taught, the steps in which what is new is read once."""
    on_row: Callable[[dict[str, Any]], None] = _ignore
    """Gets every journal row as it is written."""
    on_resolved: Callable[[ResolvedTrainConfig], None] = _ignore
    """Gets the config with nothing left open, before the first step, once a run that goes on was found in order, and
    when the clock changes it."""
    on_note: Callable[[str], None] = _ignore
    """Gets a line about what is about to take a while, or could be better."""
    on_plan: Callable[[Plan], None] = _ignore
    """Gets what the run will take, before the first step."""
    save_model: Callable[[Network, Path], None] | None = None
    """Writes the finished model's folder."""
