"""Whether bfloat16 learns as float32 does: losses of both over the same steps, beside the spread between seeds.

    python benchmarks/precision.py [--steps 300] [--seeds 0 1 2] [--preset tiny] [--json]

Trains on tinyshakespeare, characters, rows of 64. For each step the losses of all seeds are averaged over the 20 steps
around it; said are the mean distance of bfloat16 from float32 with the same seed, and the mean distance of two float32
seeds from each other.
"""

import argparse
import itertools
import json
import statistics

import numpy as np
from public_text import tinyshakespeare

from textwright.core.device import Precision, processor_name
from textwright.data.dataset import TokenDataset
from textwright.data.sources.windows import Windows
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.resolve_config import prepare_step
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

ROWS, TIME, AROUND = 12, 64, 20


def main() -> None:
    """Train every seed in both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    text = tinyshakespeare().read_text()
    tokenizer = make_tokenizer("char", lambda: iter([text]), seed=0)
    tokens = TokenDataset.from_texts([text], tokenizer)

    curves: dict[tuple[str, int], np.ndarray] = {}
    for seed in arguments.seeds:
        for precision in ("float32", "bfloat16"):
            losses = learn(arguments.preset, tokens, tokenizer.vocab_size, arguments.steps, seed, precision)
            curves[precision, seed] = np.convolve(losses, np.ones(AROUND) / AROUND, mode="valid")
    between_precisions = [distance(curves["float32", s], curves["bfloat16", s]) for s in arguments.seeds]
    pairs = itertools.combinations(arguments.seeds, 2)
    between_seeds = [distance(curves["float32", a], curves["float32", b]) for a, b in pairs]
    found = {
        "preset": arguments.preset,
        "steps": arguments.steps,
        "last_losses": {f"{precision} {seed}": float(curve[-1]) for (precision, seed), curve in curves.items()},
        "between_precisions": between_precisions,
        "between_seeds": between_seeds,
        "processor": processor_name(),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    for name, loss in found["last_losses"].items():
        print(f"{name:12} {loss:.4f} nats")
    print(
        f"mean distance: bfloat16 from float32 {statistics.mean(between_precisions):.4f}, "
        f"seed from seed {statistics.mean(between_seeds):.4f}"
    )


def learn(name: str, tokens: TokenDataset, vocab_size: int, steps: int, seed: int, precision: Precision) -> list[float]:
    """The loss of every step."""
    model = build(preset(name, vocab_size=vocab_size, context_length=TIME), seed=seed)
    config = TrainConfig(batch_size=ROWS, sequence_length=TIME, seed=seed).resolved(
        steps=steps, sequence_length=TIME, micro_batch_size=ROWS, precision=precision
    )
    model_with_loss = add_loss(model, config)
    prepare_step(model_with_loss, config, Callbacks())
    state = TrainState.begin(model_with_loss, config)
    loader = Windows(tokens, batch_size=ROWS, sequence_length=TIME, seed=seed)
    return [train_step(state, loader.batch(step), config).loss_nats for step in range(steps)]


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance of two curves, in nats."""
    return float(np.abs(one - other).mean())


if __name__ == "__main__":
    main()
