"""No decoding at all: the machine's memory, read by all threads, which nothing that reads its weights can beat."""

from collections.abc import Callable

import torch

from textwright.bench.job import Job

SETTINGS = "torch.sum over float32 by all threads"
BYTES_PER_STEP = 512 << 20
"""Far more than any cache holds, and about the weights of GPT-2."""


def prepare(job: Job) -> Callable[[], None]:
    """Read it all once; nothing of the job matters but its device."""
    numbers = torch.ones(BYTES_PER_STEP // 4, device=job.device)

    def step() -> None:
        numbers.sum()

    return step
