"""One of two processes that train together: ``python -m tests.plugins.ranks JOBS.json RANK``."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from textwright.core.world import World
from textwright.data.dataset import TokenDataset
from textwright.data.sources.windows import Windows
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.runs.run_folder import Run
from textwright.training import loop
from textwright.training.callbacks import Callbacks, Evaluation
from textwright.training.compute_weights import compute_weights
from textwright.training.config import TrainConfig
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss, mean_loss
from textwright.training.trainer import ResumeOptions


def batches() -> Windows:
    """Text in which each token follows from the one before."""
    documents = [[1 + (start + n) % 15 for n in range(length)] + [0] for start, length in enumerate([9, 30, 14] * 9)]
    return Windows(TokenDataset.from_documents(documents), batch_size=4, sequence_length=12, seed=3)


def student(dropout: float) -> ModelWithLoss:
    """A small model; every process makes the same."""
    config = preset("nano", vocab_size=16, context_length=12, dropout=dropout)
    return ModelWithLoss(build(config.reduced(num_layers=2, vocab_size=16), seed=1), CausalLMLoss())


def evaluate(model: Any, _config: TrainConfig) -> Evaluation:
    """A figure of the weights: the first rank's alone."""
    return Evaluation({"val_loss_nats": float(sum(parameter.sum() for parameter in model.parameters()).detach())})


def train(job: dict[str, Any], rank: int = 0, size: int = 1) -> dict[str, Tensor]:
    """Train as the job says; the weights it ends with."""
    config = TrainConfig.model_validate(job["config"])
    model_with_loss, run = student(dropout=0.1), Run(Path(job["run"]))
    if rank == 0 and not run.config.exists():
        Run.create(run.folder, config)
    if size > 1:
        dist.barrier()
    resume = ResumeOptions() if job.get("resume") else None
    report = loop.train(
        model_with_loss, batches(), config, run=run, callbacks=Callbacks(evaluate=evaluate), resume=resume
    )
    assert report.steps == config.steps
    return {name: value.clone() for name, value in model_with_loss.saved_state().items()}


def gradients_that_a_hook_sees(precision: str, rank: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One step's gradients, summed over the ranks by a hook of DDP, by name; and those of all rows in one process."""
    world, model_with_loss, found = World(rank, 2), student(0.0), {}
    names = {parameter: name for name, parameter in model_with_loss.named_parameters()}
    wrapped = DistributedDataParallel(model_with_loss)

    def hook(_state: object, bucket: dist.GradBucket) -> Future[Tensor]:
        dist.all_reduce(bucket.buffer())
        for parameter, gradient in zip(bucket.parameters(), bucket.gradients(), strict=True):
            found[names[parameter]] = gradient.clone()
        done: Future[Tensor] = Future()
        done.set_result(bucket.buffer())
        return done

    wrapped.register_comm_hook(None, hook)
    whole, own = batches().batch(0), batches().batch(0, world)
    denominators = {"next_token": whole.loss_weight.sum()}
    with_hook = compute_weights(model_with_loss, precision, wrapped)
    mean_loss(with_hook.loss(own).terms, denominators).backward()
    assert {names[parameter] for parameter in with_hook.gradients()} == found.keys()
    with_hook.zero_grad()
    alone = compute_weights(model_with_loss, precision)
    for first in (0, 2):
        mean_loss(alone.loss(whole.rows(first, first + 2)).terms, denominators).backward()
    return found, {names[parameter]: gradient.clone() for parameter, gradient in alone.gradients().items()}


def main(file: Path, rank: int) -> None:
    """Do the jobs in turn, and leave what came of each beside their file."""
    torch.set_num_threads(1)
    where = f"file://{file.with_suffix('.store')}"
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=2)
    for name, job in json.loads(file.read_text()).items():
        if "config" in job:
            result = train(job, rank, 2)
        else:
            seen, expected = gradients_that_a_hook_sees(job["precision"], rank)
            result = {f"seen/{name}": value for name, value in seen.items()}
            result |= {f"expected/{name}": value for name, value in expected.items()}
        save_file(result, file.parent / f"{name}.rank-{rank}.safetensors")
    dist.barrier()  # a rank that leaves while another still talks aborts
    dist.destroy_process_group()


def digest(tensors: dict[str, Tensor]) -> str:
    """A hash of all values."""
    values = [value.numpy().tobytes() for _, value in sorted(tensors.items())]
    return hashlib.sha256(b"".join(values)).hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
