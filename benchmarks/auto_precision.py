"""What ``--precision auto`` takes for nano, tiny, small and gpt2, beside what a step takes in each precision.

    python benchmarks/auto_precision.py [--presets nano tiny small gpt2] [--turns 3] [--json]

Whole steps with Muon, eager, one row of the model's context (at most 256 tokens; nano twelve rows of 64).
Where bfloat16 is emulated, a step in it would take minutes to hours: then what its products take, at the rate just
measured, stands for it.
"""

import argparse
import json
import statistics
import sys
import time
from typing import get_args

import torch

from textwright.core.allocator import keep_freed_memory
from textwright.core.device import Precision, measure_products, processor_name
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.precision import HOPELESS, StepProbe
from textwright.training.resolve_config import prepare_step
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

SHAPES = {"nano": (12, 64), "tiny": (4, 256), "small": (2, 256), "gpt2": (1, 256)}


def main() -> None:
    """Choose, and time both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--presets", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    keep_freed_memory()
    rows = [measure(name, arguments.turns) for name in arguments.presets]
    if arguments.json:
        print(json.dumps({"rows": rows, "processor": processor_name()}))


def measure(name: str, turns: int) -> dict[str, object]:
    """The choice for a preset and how long it took, and the median step in each precision, taking turns."""
    batch_size, length = SHAPES[name]
    model = build(preset(name, vocab_size=50257 if name == "gpt2" else 4096), seed=0)
    config = TrainConfig(batch_size=batch_size)
    model_with_loss = add_loss(model, config)
    prepare_step(model_with_loss, config.model_copy(update={"compile": False}), Callbacks())
    begun_s = time.perf_counter()
    rates = StepProbe(model, batch_size=batch_size, sequence_length=length).measure_rates()
    choosing_s = time.perf_counter() - begun_s
    ids = torch.randint(0, 4096, (batch_size, length + 1), generator=torch.Generator().manual_seed(0))
    states = {}
    products = measure_products(32, model.hidden_size)
    is_hopeless = products.float32 > HOPELESS * products.bfloat16
    timed: list[Precision] = ["float32"] if is_hopeless else list(get_args(Precision))
    for precision in timed:
        decided = config.resolved(steps=1000, sequence_length=length, micro_batch_size=batch_size, precision=precision)
        states[precision] = (TrainState.begin(model_with_loss, decided), decided)
    taken: dict[str, list[float]] = {precision: [] for precision in states}
    for turn in range(turns + 1):
        for precision, (state, decided) in states.items():
            begun_s = time.perf_counter()
            train_step(state, Batch.from_ids(ids), decided)
            if turn:
                taken[precision].append(time.perf_counter() - begun_s)
    step_s = {precision: statistics.median(seconds) for precision, seconds in taken.items()}
    if is_hopeless:
        flops = 6.0 * sum(parameter.numel() for parameter in model.parameters()) * batch_size * length
        step_s["bfloat16"] = flops / products.bfloat16
    cost = step_s[rates.faster] / min(step_s.values())
    times = ", ".join(f"{precision} {seconds * 1e3:,.0f} ms" for precision, seconds in step_s.items())
    choice = f"{name}: auto takes {rates.faster} ({rates}, {choosing_s:.2f} s)"
    print(f"{choice}; a step: {times}; {cost:.2f} of the faster", file=sys.stderr, flush=True)
    return {"preset": name, "choice": rates.faster, "choosing_s": choosing_s, "step_s": step_s, "cost": cost}


if __name__ == "__main__":
    main()
