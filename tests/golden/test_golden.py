"""Training gives the curves that it gave: on any processor to rounding. ``benchmarks/golden.py`` compares the bits.

The curves were written by ``python -m tests.golden.test_golden``, and change only with what training computes.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from textwright.api import RunConfig
from textwright.api.runs import train
from textwright.core.journal import read_rows

CURVES = Path(__file__).parent / "curves.json"
WORDS = (
    "the",
    "a",
    "of",
    "and",
    "to",
    "old",
    "new",
    "small",
    "long",
    "river",
    "house",
    "tree",
    "stone",
    "bird",
    "sea",
    "sun",
)
COMMON: dict[str, Any] = {"compile": False, "threads": 1, "seed": 1, "max_eval_tokens": 256}
COMMON |= dict.fromkeys(("evaluate_every", "sample_every", "checkpoint_every"), 100)
RUNS: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "nano, float32, AdamW": (
        {"preset": "nano"},
        {"precision": "float32", "optimizer": "adamw", "steps": 12, "batch_size": 4},
        1e-5,
    ),
    "qwen3-nano, bfloat16, Muon, dropout, accumulated": (
        {"preset": "qwen3-nano", "dropout": 0.1},
        {"precision": "bfloat16", "optimizer": "muon", "steps": 4, "batch_size": 2, "micro_batch_size": 1},
        1e-2,
    ),
}
"""Model, training, and how far (as a part of itself) a loss may be off on another processor."""


@pytest.mark.parametrize("name", RUNS)
def test_the_loss_falls_as_it_did(name: str, tmp_path: Path) -> None:
    expected = json.loads(CURVES.read_text())[name]
    assert losses(name, tmp_path) == pytest.approx(expected, rel=RUNS[name][2])


def losses(name: str, folder: Path) -> list[float]:
    """The losses of all steps."""
    model, training, _ = RUNS[name]
    text = folder / "text.txt"
    text.write_text(some_text())
    values = {"data": [text], "tokenizer": "byte", "model": model, "training": COMMON | training}
    train(RunConfig.model_validate(values), folder / "run", device="cpu", quiet=True)
    return [row["loss_nats"] for row in read_rows(folder / "run" / "journal.jsonl") if row["kind"] == "train"]


def some_text() -> str:
    """Documents of words whose order a small generator of its own gives: the same everywhere."""
    state, words = 1, []
    for number in range(3000):
        state = (1103515245 * state + 12345) % 2**31
        words.append(WORDS[(state >> 16) % len(WORDS)] + ("\n\n" if number % 60 == 59 else " "))
    return "".join(words)


def record() -> None:
    """Write the curves of this build."""
    curves = {}
    for name in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            curves[name] = losses(name, Path(folder))
    CURVES.write_text(json.dumps(curves, indent=1) + "\n")


if __name__ == "__main__":
    record()
