"""What saving in the background costs a run: steps with a save in flight beside steps without, interleaved.

    python benchmarks/save_cost.py [--preset small] [--rounds 6] [--seconds 20] [--json]

Text is random ids: the cost does not depend on it. The share is of a run that saves every minute.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from textwright.checkpoint.training_state import checkpoints
from textwright.core.device import processor_name
from textwright.core.files import folder_size
from textwright.data.dataset import TokenDataset
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.runs.checkpointer import AsyncCheckpointer
from textwright.runs.run_folder import Run
from textwright.runs.run_logger import RunLogger
from textwright.training.config import TrainConfig
from textwright.training.from_config import make_batches
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

VOCABULARY = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    model = build(preset(arguments.preset, vocab_size=VOCABULARY), seed=0)
    time_ = min(512, model.context_length)
    config = TrainConfig(steps=10**6, batch_size=arguments.batch_size).resolved(
        steps=10**6, sequence_length=time_, micro_batch_size=arguments.batch_size, precision="bfloat16"
    )
    state = TrainState.begin(ModelWithLoss(model, CausalLMLoss()).train(), config)
    ids = np.random.default_rng(0).integers(0, VOCABULARY, 500_000)
    loader = make_batches(TokenDataset.from_documents([ids]), config, time_)
    for _ in range(3):
        train_step(state, loader.batch(state.progress.step), config)
    begun_s = time.perf_counter()
    train_step(state, loader.batch(state.progress.step), config)
    num_steps = max(2, round(arguments.seconds / (time.perf_counter() - begun_s)))

    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", config)
        extra, plain, blocked = [], [], []
        with RunLogger(run, lambda _: None) as logger, AsyncCheckpointer(run, logger, keep=2) as checkpointer:
            for _ in range(arguments.rounds):
                took = {}
                for saves in (False, True):
                    begun_s = time.perf_counter()
                    if saves:
                        tensors, facts = state.state_dict()
                        checkpointer.start(state.progress.step, tensors, {"progress": facts | {"best_step": None}})
                        blocked.append(time.perf_counter() - begun_s)
                    for _ in range(num_steps):
                        train_step(state, loader.batch(state.progress.step), config)
                    if (failure := checkpointer.wait()) is not None:
                        raise failure
                    took[saves] = time.perf_counter() - begun_s
                extra.append(took[True] - took[False])
                plain.append(took[False])
        size = folder_size(checkpoints(run.checkpoints)[0])
    result = {
        "preset": arguments.preset,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "checkpoint_bytes": size,
        "steps_in_a_block": num_steps,
        "block_s": statistics.median(plain),
        "blocked_s": statistics.median(blocked),
        "extra_s": sorted(extra),
        "share_of_a_minute": statistics.median(extra) / 60,
        "machine": {"processor": processor_name(), "threads": torch.get_num_threads(), "torch": torch.__version__},
    }
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{arguments.preset}, {result['parameters']:,} parameters, {size / 1e6:,.0f} MB a save")
    print(f"{num_steps} steps take {result['block_s']:.2f} s, with a save {statistics.median(extra):+.2f} s")
    print(f"(from {min(extra):+.2f} to {max(extra):+.2f}; {result['blocked_s']:.2f} s of copying in the way)")
    print(f"saving every minute costs {result['share_of_a_minute']:.1%}")


if __name__ == "__main__":
    main()
