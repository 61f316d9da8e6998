"""What settings of the training are worth: several trials from the same seeds, and the loss each ends at.

    python benchmarks/recipe.py DATA --preset tiny --steps 250 --batch-size 12 --sequence-length 256 [--seeds 0 1]
        [--trial muon_momentum=0.8 decay_fraction=1] [--trial ...] [--json]

DATA is the folder of prepared text of a run: RUN/data. Each ``--trial`` is a line of settings: of the training config,
or ``embedding_std`` of the model; one with nothing after it is the defaults. Trials take turns, seed by seed. The loss
is that of the first 131,072 tokens of the validation text.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from textwright.core.allocator import keep_freed_memory
from textwright.core.device import processor_name
from textwright.data.dataset import DataSplits, open_data
from textwright.data.sources.windows import Windows
from textwright.evaluation.language_modelling import score_tokens
from textwright.models.catalog import build, presets
from textwright.models.presets import preset
from textwright.tokens.folder import load_tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.precision import StepProbe, autocast
from textwright.training.resolve_config import prepare_step
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

NUM_VAL_TOKENS = 131_072


def main() -> None:
    """Run every trial with every seed, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--sequence-length", type=int, default=256)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--trial", nargs="*", action="append", metavar="NAME=VALUE")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    context_length = presets().get(arguments.preset, {}).get("context_length", arguments.sequence_length)
    if arguments.sequence_length > context_length:
        parser.exit(
            2,
            f"--sequence-length {arguments.sequence_length}: {arguments.preset} sees at most {context_length} tokens\n",
        )
    keep_freed_memory()
    data, vocab_size = open_data(arguments.data), load_tokenizer(arguments.data).vocab_size
    trials = arguments.trial or [[]]
    rows = []
    for seed in arguments.seeds:
        for trial in trials:
            settings = {name: json_or_word(value) for name, _, value in (word.partition("=") for word in trial)}
            row = {"trial": " ".join(trial) or "the defaults", "seed": seed}
            row |= learn(
                data,
                vocab_size,
                arguments.preset,
                arguments.batch_size,
                arguments.sequence_length,
                arguments.steps,
                seed,
                settings,
            )
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps({**vars(arguments), "data": arguments.data.name, "rows": rows, "processor": processor_name()}))
        return
    for name in dict.fromkeys(row["trial"] for row in rows):
        losses = [row["val_loss_nats"] for row in rows if row["trial"] == name]
        print(f"{statistics.mean(losses):.4f} nats  {name}  ({' '.join(f'{loss:.4f}' for loss in losses)})")


def json_or_word(value: str) -> Any:
    """A number, true, false or null where it is one, else the word."""
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def learn(
    data: DataSplits,
    vocab_size: int,
    name: str,
    rows: int,
    row_tokens: int,
    steps: int,
    seed: int,
    settings: dict[str, Any],
) -> dict[str, float]:
    """Train once.

    Returns:
        The validation loss in nats per token, in bits per byte, and the seconds of the steps.
    """
    embedding_std = settings.get("embedding_std")
    training = {key: value for key, value in settings.items() if key != "embedding_std"}
    model = build(preset(name, vocab_size=vocab_size, embedding_std=embedding_std), seed=seed)
    cpu = torch.device("cpu")
    precision = StepProbe(model, batch_size=rows, sequence_length=row_tokens).measure_rates().faster
    config = TrainConfig(**{"batch_size": rows, "seed": seed, "compile": False} | training)
    config = config.resolved(
        steps=steps,
        sequence_length=row_tokens,
        micro_batch_size=config.micro_batch_size or config.batch_size,
        precision=precision,
    )
    model_with_loss = add_loss(model, config)
    prepare_step(model_with_loss, config, Callbacks())
    state = TrainState.begin(model_with_loss, config)
    loader = Windows(data.train, batch_size=config.batch_size, sequence_length=row_tokens, seed=seed)
    begun_s = time.perf_counter()
    for step in range(steps):
        train_step(state, loader.batch(step), config)
    seconds = time.perf_counter() - begun_s
    with autocast(cpu, precision):
        scores = score_tokens(model.eval(), data.val, time=row_tokens, rows=16, max_tokens=NUM_VAL_TOKENS)
    return {**scores, "seconds": seconds}


if __name__ == "__main__":
    main()
