"""What a step takes when most weights are frozen, and what memory: low-rank matrices alone, against all weights.

    python benchmarks/frozen.py [--preset small] [--precision float32] [--turns 5] [--json]
    python benchmarks/frozen.py --strategies [--preset tiny] [--learned 0.5] [--compile] [--turns 5] [--json]

The second form has all weights, the last block (`--strategy last`) and the last block with what enters it kept
(`--cache-frozen`, from the second pass over the rows on) take turns step by step in one process, each on the same rows
of 8 x 256 tokens: packed documents of 64 tokens, of whose ends a part is learned.

In the first each case trains in a process of its own, and the cases take turns: all weights; the low-rank matrices of
every block; those and the last block; and, to compare with, the low-rank matrices under autocast, which casts every
frozen matrix in every micro-batch (in float32 it is the second case). Seconds are a median of steps, memory is the
process's peak.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES = ("all", "low-rank", "low-rank and last block", "low-rank, cast in every step")
BATCH_SIZE, TIME, VOCABULARY, RANK, NUM_STEPS = 4, 256, 8192, 8, 6
STRATEGIES = ("full", "last", "last --cache-frozen")
NUM_ROWS, DOCUMENT, WARM_UP_STEPS = 16, 64, 2


def main() -> None:
    """Time the cases in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--strategies", action="store_true", help="full, last, and last with --cache-frozen")
    parser.add_argument("--learned", type=float, default=1.0, help="of each document, at its end")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.preset, options.precision)))
        return
    if options.strategies:
        compare_strategies(options)
        return
    found: dict[str, list[dict[str, Any]]] = {case: [] for case in CASES}
    for _ in range(options.turns):
        for case in CASES:
            command = [sys.executable, __file__, "--case", case, "--preset", options.preset]
            said = subprocess.run([*command, "--precision", options.precision], check=True, capture_output=True)
            found[case].append(json.loads(said.stdout))
    rows = [summary(case, found) for case in CASES]
    if options.json:
        print(json.dumps({"preset": options.preset, "precision": options.precision, "rows": rows}))
        return
    for row in rows:
        print(
            f"{row['case']:30} {row['trained_parameters']:>12,} trained  {row['step_s']:.3f} s a step, "
            f"{row['ratio']:.2f} of all  {row['peak_memory_bytes'] / 1e9:.2f} GB"
        )


def summary(case: str, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A case's medians over the turns, and its step beside that of all weights in the same turn."""
    ratios = [turn["step_s"] / whole["step_s"] for turn, whole in zip(found[case], found["all"], strict=True)]
    medians = {name: statistics.median(turn[name] for turn in found[case]) for name in ("step_s", "peak_memory_bytes")}
    trained = found[case][0]["trained_parameters"]
    return {"case": case, "trained_parameters": trained, "ratio": statistics.median(ratios)} | medians


def measure(case: str, preset_name: str, precision: str) -> dict[str, Any]:
    """Train some steps in this process."""
    import torch

    from textwright.data.batch import Batch
    from textwright.models.catalog import build
    from textwright.models.presets import preset
    from textwright.training.compute_weights import ComputeWeights
    from textwright.training.config import TrainConfig
    from textwright.training.from_config import add_loss
    from textwright.training.memory import peak_bytes
    from textwright.training.parameter_plan import Rule, Stage
    from textwright.training.train_state import TrainState
    from textwright.training.train_step import train_step

    class Autocast(ComputeWeights):
        def loss(self, batch: Batch) -> Any:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                return self.model_with_loss(batch)

        def copy_from_master(self) -> None:
            pass

    model = build(preset(preset_name, vocab_size=VOCABULARY, context_length=TIME), seed=0)
    config = TrainConfig(optimizer="adamw", batch_size=BATCH_SIZE, compile=False).resolved(
        steps=100, sequence_length=TIME, micro_batch_size=BATCH_SIZE // 2, precision=precision
    )
    if case != "all":
        for block in model.blocks:  # type: ignore[union-attr]
            block.attention.qkv = low_rank(block.attention.qkv)
    model_with_loss = add_loss(model, config).train()
    rules = {"all": (), "low-rank and last block": (Rule(pattern=f"*.blocks.{model.num_layers - 1}.*"),)}.get(case, ())
    frozen = () if case == "all" else (*rules, Rule(pattern="*.lora_?"), Rule(pattern="*", trained=False))
    model_with_loss.mark(Stage(rules=frozen))
    state = TrainState.begin(model_with_loss, config)
    if case == "low-rank, cast in every step":
        state.compute = Autocast(model_with_loss)
    ids = torch.randint(0, VOCABULARY, (BATCH_SIZE, TIME + 1), generator=torch.Generator().manual_seed(0))
    taken = []
    for _ in range(NUM_STEPS):
        begun_s = time.perf_counter()
        train_step(state, Batch.from_ids(ids), config)
        taken.append(time.perf_counter() - begun_s)
    return {
        "step_s": statistics.median(taken[1:]),
        "peak_memory_bytes": peak_bytes(model.device),
        "trained_parameters": model_with_loss.num_trained,
    }


def compare_strategies(options: argparse.Namespace) -> None:
    """Time steps of the strategies in turn, and show how many times as fast as all weights each is."""
    from textwright.core.device import processor_name

    with tempfile.TemporaryDirectory(dir=".") as folder:
        runs = {name: Stepped(name, options, Path(folder)) for name in STRATEGIES}
        taken: dict[str, list[float]] = {name: [] for name in runs}
        for turn in range(WARM_UP_STEPS + options.turns):
            for name, run in runs.items():
                seconds = run.step()
                if turn >= WARM_UP_STEPS:
                    taken[name].append(seconds)
    *_, without, kept = (run.losses for run in runs.values())
    assert without == kept, "--cache-frozen changed the losses"
    ratios = {name: [full / own for full, own in zip(taken["full"], taken[name], strict=True)] for name in runs}
    rows = [
        {"strategy": name, "step_s": statistics.median(taken[name]), "times_full": statistics.median(ratios[name])}
        for name in runs
    ]
    if options.json:
        how = {"preset": options.preset, "precision": options.precision, "learned": options.learned}
        print(json.dumps({"processor": processor_name(), "compile": options.compile} | how | {"rows": rows}))
        return
    print(f"{processor_name()}, {options.preset}, {options.precision}, {options.learned:.0%} learned")
    for row in rows:
        print(f"{row['strategy']:22} {row['step_s']:.3f} s a step, {row['times_full']:.2f} times as fast as full")


class Stepped:
    """A strategy that trains a model step by step."""

    def __init__(self, name: str, options: argparse.Namespace, folder: Path) -> None:
        import numpy as np

        from textwright.data.dataset import TokenDataset
        from textwright.models.catalog import build
        from textwright.models.presets import preset
        from textwright.training.cache_frozen import cache_frozen
        from textwright.training.config import FineTuneConfig
        from textwright.training.from_config import add_loss, make_batches
        from textwright.training.strategies import parameter_plan_of, parse_strategy
        from textwright.training.train_state import TrainState

        strategy, _, kept = name.partition(" ")
        model = build(preset(options.preset, vocab_size=VOCABULARY, context_length=TIME), seed=0)
        plan = parameter_plan_of(parse_strategy(strategy), model.layer_groups(), steps_per_epoch=1)
        given = FineTuneConfig(parameter_plan=plan, sequence_length=TIME, steps=100)
        random, num_documents = np.random.default_rng(0), NUM_ROWS * TIME // DOCUMENT
        self.batches = make_batches(
            TokenDataset.from_documents(list(random.integers(0, VOCABULARY, (num_documents, DOCUMENT)))), given, TIME
        )
        self.config = given.resolved(
            steps=100, sequence_length=TIME, micro_batch_size=given.batch_size, precision=options.precision
        )
        model_with_loss = add_loss(model, given).train()
        if kept:
            model_with_loss.frozen_states = cache_frozen(model_with_loss, self.batches, given, folder)
        model_with_loss.mark_largest(plan)
        if options.compile:
            model.compile_for_training()
        self.state = TrainState.begin(model_with_loss, self.config)
        self.first_learned = round(DOCUMENT * (1 - options.learned))
        self.losses: list[float] = []

    def step(self) -> float:
        """Seconds of the next step."""
        from textwright.training.train_step import train_step

        batch = self.batches.batch(self.state.progress.step)
        assert batch.position_ids is not None, "documents are packed"
        batch = batch.with_fields(loss_weight=batch.loss_weight * (batch.position_ids >= self.first_learned))
        begun_s = time.perf_counter()
        done = train_step(self.state, batch, self.config)
        seconds = time.perf_counter() - begun_s
        self.losses.append(done.loss_nats)
        return seconds


def low_rank(layer: Any) -> Any:
    """A linear layer with a low-rank correction, in another's place. Source: Hu et al. 2021 (arXiv:2106.09685)."""
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    from textwright.models.layers.linear import Linear

    class LowRank(Linear):
        def __init__(self) -> None:
            super().__init__(layer.in_features, splits=layer.splits, bias=layer.bias is not None)
            self.weight, self.bias = layer.weight, layer.bias
            self.lora_a = nn.Parameter(torch.randn(RANK, layer.in_features) / RANK)
            self.lora_b = nn.Parameter(torch.zeros(layer.out_features, RANK))

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + F.linear(F.linear(x, self.lora_a), self.lora_b)

    return LowRank()


if __name__ == "__main__":
    main()
