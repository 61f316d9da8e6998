"""ModelWithLoss on two processes with FSDP2 equals one process, tied head and all."""

import os
import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.training.config import TrainConfig
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.optimizers import Optimizer

NUM_STEPS = 4
CONFIG = GPTConfig(vocab_size=23, context_length=8, num_layers=2, num_heads=2, hidden_size=16, tie_embeddings=True)
RAGGED = Batch.from_rows([[1, 2, 3, 4, 5, 6, 7, 8], [9, 10], [3, 1, 4, 1, 5], [22, 7, 1, 8]])


def _train(rank: int, size: int) -> dict[str, Tensor]:
    """A few steps on this rank's rows: the whole batch's losses, and the whole gradients of the first step by name."""
    model_with_loss = ModelWithLoss(build(CONFIG, seed=1), CausalLMLoss())
    if size > 1:
        for block in model_with_loss.model.blocks:  # type: ignore[union-attr]
            fully_shard(block)
        fully_shard(model_with_loss)
    config = TrainConfig(optimizer="adamw").resolved(
        steps=NUM_STEPS, sequence_length=RAGGED.time, micro_batch_size=RAGGED.num_rows, precision="float32"
    )
    optimizer = Optimizer(model_with_loss, config)
    rows = RAGGED.num_rows // size
    losses, gradients = [], {}
    for step in range(NUM_STEPS):
        loss = model_with_loss(RAGGED.rows(rank * rows, (rank + 1) * rows)).total / RAGGED.loss_weight.sum()
        (loss * size).backward()  # FSDP2 takes the mean over ranks where we want the sum
        if step == 0:
            gradients = {name: _whole(p.grad) for name, p in model_with_loss.named_parameters() if p.grad is not None}
        optimizer.step(1.0, {p: p.grad for p in model_with_loss.parameters() if p.grad is not None})
        model_with_loss.zero_grad()
        total = loss.detach()
        if size > 1:
            dist.all_reduce(total)
        losses.append(total)
    return gradients | {"losses": torch.stack(losses)}


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor.clone()


def _work(rank: int, size: int, port: int, out: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=size)
    result = _train(rank, size)
    if rank == 0:
        save_file(result, out)
    dist.barrier()  # a rank that leaves while another still talks aborts
    dist.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.skipif(not dist.is_gloo_available(), reason="torch was built without gloo")
def test_two_sharded_ranks_equal_one(tmp_path: Path) -> None:
    mp.spawn(_work, args=(2, _free_port(), tmp_path / "result.safetensors"), nprocs=2)
    two, one = load_file(tmp_path / "result.safetensors"), _train(0, 1)
    assert one["losses"][-1] < one["losses"][0]
    assert two.keys() == one.keys()
    for name, value in one.items():
        assert (two[name] - value).norm() <= 1e-5 * value.norm().clamp(min=1e-3), name
