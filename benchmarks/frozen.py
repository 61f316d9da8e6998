"""What a step takes when most weights are frozen, and what memory: low-rank matrices alone, against all weights.

    python benchmarks/frozen.py [--preset small] [--precision float32] [--turns 5] [--json]

Each case trains in a process of its own, and the cases take turns: all weights; the low-rank matrices of every block;
those and the last block; and, to compare with, the low-rank matrices under autocast, which casts every frozen matrix
in every micro-batch (in float32 it is the second case). Seconds are a median of steps, memory is the process's peak.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

CASES = ("all", "low-rank", "low-rank and last block", "low-rank, cast in every step")
BATCH_SIZE, TIME, VOCABULARY, RANK, NUM_STEPS = 4, 256, 8192, 8, 6


def main() -> None:
    """Time the cases in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.preset, options.precision)))
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
