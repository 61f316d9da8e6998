"""A run that ended, for those who called for it: its figures, where everything is, and its report."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from textwright import __version__
from textwright.checkpoint.model_folder import add_facts
from textwright.core.device import processor_name
from textwright.core.errors import InputError
from textwright.core.kinds import checks_kinds
from textwright.data.dataset import DataSplits
from textwright.runs.model_card import renew_card
from textwright.runs.record import read_run_record
from textwright.runs.report import write_run_report
from textwright.runs.run_folder import Run
from textwright.tokens import Tokenizer
from textwright.training.report import TrainReport


@dataclass(frozen=True)
class RunResult:
    """A run that ended: its figures, and where everything is."""

    run: Path
    model: Path
    report: TrainReport
    data: DataSplits
    tokenizer: Tokenizer

    @checks_kinds
    def held_out_texts(self, max_tokens: int | None = None) -> Iterator[str]:
        """The validation documents, none of which was trained on.

        Args:
            max_tokens: about so many tokens of them: every second document, every third, or so, each cut to that.
        """
        val = self.data.val
        if max_tokens is not None and max_tokens < 1:
            raise InputError(f"max_tokens = {max_tokens}", expected="at least 1")
        if val is None:
            return
        most = val.num_tokens if max_tokens is None else max_tokens
        ends = val.document_ends.tolist()
        spans = list(zip([0, *ends], ends, strict=False))
        for start, end in spans[:: -(-val.num_tokens // most)]:
            yield self.tokenizer.decode(val.read(start, min(end, start + most)).tolist())

    def as_json(self) -> dict[str, Any]:
        """The result by the names that others rely on."""
        return {
            "run": str(self.run),
            "model": str(self.model),
            "steps": self.report.steps,
            "tokens": self.report.tokens,
            "val_loss_nats": self.report.val_loss_nats,
            "val_bits_per_byte": self.report.best.get("val_bits_per_byte"),
            "metrics": dict(self.report.best),
            "tokens_per_s": self.report.tokens_per_s,
            "peak_memory_bytes": self.report.peak_memory_bytes,
            "trained_parameters": self.report.trained_parameters,
        }


def write_report(
    folder: Path, *, metrics: dict[str, float] | None = None, completions: list[dict[str, str]] | None = None
) -> Path:
    """Write a run's ``report.html`` and its model's card, from what is in its folder; and remember what made it.

    Args:
        folder: the run, which ended on this machine.
        metrics: bits per byte of held-out text to show side by side, by name, the model's first.
        completions: ``prompt`` and ``text`` of completions to show.
    """
    run = Run.open(folder)
    if run.model.is_dir():
        measured = {"held_out_bits_per_byte": metrics, "completions": completions}
        facts = {name: value for name, value in measured.items() if value is not None}
        add_facts(run.model, {"environment": environment(), **facts})
    record = read_run_record(run)
    write_run_report(run.report, record)
    if run.model.is_dir():
        renew_card(run, record)
    return run.report


def environment() -> dict[str, Any]:
    """The machine and the versions that a result was made with."""
    return {
        "textwright": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
    }
