"""What the loop asks of the stages above it, handed over by whoever starts it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.models.language_model import LanguageModel
from textwright.training.config import TrainConfig
from textwright.training.plan import Plan


def _ignore(_: Any) -> None:
    pass


@dataclass(frozen=True)
class Hooks:
    """Functions the loop calls. Models come to them in evaluation mode."""

    evaluate: Callable[[LanguageModel, TrainConfig], dict[str, float]] | None = None
    """Numbers for a ``val`` row, in the config's precision; ``val_loss_nats`` among them decides which model is the
    best."""
    sample: Callable[[LanguageModel], dict[str, Any]] | None = None
    """Fields of a ``sample`` row, ``text`` among them."""
    on_row: Callable[[dict[str, Any]], None] = _ignore
    """Gets every journal row as it is written."""
    on_decided: Callable[[TrainConfig], None] = _ignore
    """Gets the config with nothing left open, before the first step, once a run that goes on was found in order, and
    when the clock changes it."""
    on_note: Callable[[str], None] = _ignore
    """Gets a line about what is about to take a while, or could be better."""
    on_plan: Callable[[Plan], None] = _ignore
    """Gets what the run will take, before the first step."""
    save_model: Callable[[LanguageModel, Path], None] | None = None
    """Writes the finished model's folder."""
