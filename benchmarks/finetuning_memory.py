"""Bytes that gradients and the optimizer's state really take, strategy by strategy, after a step of a model.

    python benchmarks/finetuning_memory.py MODEL [--json]

Counted are the tensors that the optimizer was handed, and those that it then holds, each storage once.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from finetuning_rows import PLAIN
from torch import Tensor

from textwright.api.model import load
from textwright.data.batch import Batch
from textwright.models.lora import add_lora
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.optimizers import Optimizer
from textwright.training.parameter_plan import stage_at
from textwright.training.strategies import parameter_plan_of, parse_strategy
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

STRATEGIES = ("full", "last", "last:2", "head", "bitfit", "lora")


def main() -> None:
    """One row a strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measured(options.model, strategy) for strategy in STRATEGIES]
    for row in rows:
        row["of_full"] = round((row["gradient_bytes"] + row["optimizer_bytes"]) / total_of(rows[0]), 4)
        megabytes = [row[name] / 1e6 for name in ("gradient_bytes", "optimizer_bytes")]
        print(
            f"{row['strategy']:8} {row['trained_parameters']:>12,} trained  gradients {megabytes[0]:7.2f} MB  "
            f"optimizer {megabytes[1]:7.2f} MB  {row['of_full']:.3f} of full's",
            file=sys.stderr,
        )
    if options.json:
        print(json.dumps({"rows": rows}))


def total_of(row: Mapping[str, Any]) -> int:
    """Both together."""
    return int(row["gradient_bytes"] + row["optimizer_bytes"])


def measured(model: Path, strategy_name: str) -> dict[str, Any]:
    """A step on random tokens, as ``finetune`` does it."""
    network, strategy = load(model).network, parse_strategy(PLAIN.get(strategy_name, strategy_name))
    if strategy.unties_head:
        network.untie_head()
    if strategy.lora is not None:
        add_lora(network, strategy.lora)
    plan = parameter_plan_of(strategy, network.layer_groups(), steps_per_epoch=1)
    config = TrainConfig(optimizer="adamw", batch_size=2, parameter_plan=plan, compile=False).resolved(
        steps=2, sequence_length=32, micro_batch_size=2, precision="float32"
    )
    model_with_loss = add_loss(network, config).train()
    model_with_loss.mark(stage_at(plan, 0))
    state = TrainState.begin(model_with_loss, config)
    state.optimizer = Counting(model_with_loss, config)
    train_step(state, Batch.from_ids(torch.randint(0, network.vocab_size, (2, 33))), config)
    return {
        "strategy": strategy_name,
        "trained_parameters": model_with_loss.num_trained,
        "gradient_bytes": state.optimizer.gradient_bytes,
        "optimizer_bytes": bytes_of(state.optimizer.state_dict().values()),
    }


class Counting(Optimizer):
    """Remembers how much memory the gradients had that it was handed."""

    gradient_bytes = 0

    def step(self, fraction: float, gradients: Mapping[Tensor, Tensor], **how: Any) -> None:
        """Count, and move the weights."""
        self.gradient_bytes = bytes_of(gradients.values())
        super().step(fraction, gradients, **how)


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Memory of tensors; what several share counts once."""
    storages = {storage.data_ptr(): storage.nbytes() for storage in (one.untyped_storage() for one in tensors)}
    return sum(storages.values())


if __name__ == "__main__":
    main()
