"""How much memory training takes, measured."""

import resource
from pathlib import Path

import torch
from torch import Tensor

from textwright.batches.batch import Batch
from textwright.training.step import TrainStep

STATM = Path("/proc/self/statm")


def used_bytes(device: torch.device) -> int:
    """Memory in use now: of the GPU where training runs there, else the process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * resource.getpagesize()
    return peak_bytes(device)


def peak_bytes(device: torch.device) -> int:
    """The most memory used so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def free_bytes(device: torch.device) -> int:
    """Memory that can still be had."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 4 * 2**30


def saved_bytes(train_step: TrainStep, batch: Batch) -> int:
    """What one forward pass keeps for its backward pass: activations, not weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in train_step.parameters()}
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = train_step(batch)
    del loss
    return sum(sizes.values())
