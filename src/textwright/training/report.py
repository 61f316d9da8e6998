"""What a training run came to."""

from dataclasses import dataclass
from typing import Literal

from textwright.core.progress import duration

StopReason = Literal["finished", "patience", "interrupted"]
STOP_MESSAGES: dict[StopReason, str] = {
    "finished": "finished",
    "patience": "ended early: evaluations find no better model,",
    "interrupted": "interrupted and saved",
}


@dataclass(frozen=True)
class TrainReport:
    """The figures of a run, all its sessions together where not said otherwise."""

    end_reason: StopReason
    """All steps done; no better model in ``early_stopping_patience`` evaluations; or a signal."""
    steps: int
    """Optimizer steps done."""
    tokens: int
    """Tokens learned from."""
    elapsed_s: float
    """Seconds, evaluations included."""
    tokens_per_s: float
    """Tokens learned from per second of this session's optimizer steps."""
    first_loss_nats: float | None
    """Training loss of the first step."""
    last_loss_nats: float | None
    """Training loss of the last step of this session."""
    best: dict[str, float]
    """The numbers of the best evaluation: ``val_loss_nats`` where there is text to validate on, and figures of tasks,
    such as ``classification.accuracy``; empty where nothing was evaluated."""
    best_step: int | None
    """Its step; the model that is left is this one."""
    skipped_steps: int
    """Steps left out because their loss or gradient was not finite, or the loss a spike."""
    failed_saves: int
    """Checkpoints that the disk did not take in this session."""
    peak_memory_bytes: int
    """The most memory this process (or its GPU) used."""
    trained_parameters: int
    """How many numbers were trained, in the stage in which most were."""
    signal_number: int | None = None
    """The signal that ended the run."""

    @property
    def val_loss_nats(self) -> float | None:
        """The validation loss of the best model, in nats per token."""
        return self.best.get("val_loss_nats")

    @property
    def exit_code(self) -> int:
        """0, or as shells have it 128 and the signal's number: 130 for Ctrl-C, 143 for SIGTERM."""
        return 0 if self.signal_number is None else 128 + self.signal_number

    @property
    def summary(self) -> str:
        """How much was learned from, how fast, and in how much memory."""
        return (
            f"{self.steps:,} steps, {self.tokens:,} tokens in {duration(self.elapsed_s)}, "
            f"{self.tokens_per_s:,.0f} tokens/s, at most {self.peak_memory_bytes / 1e9:.2f} GB of memory"
        )
