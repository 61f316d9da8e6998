"""No training at all: the machine's own matrix product, which nothing that trains can beat."""

from collections.abc import Callable

import torch

from textwright.bench.job import Job

SETTINGS = "torch.mm of 2048 x 2048 matrices in the precision of the job"
SIZE = 2048
FLOPS_PER_STEP = 2 * SIZE**3


def prepare(job: Job) -> Callable[[], None]:
    """One product; only the job's precision matters."""
    a, b = (torch.randn(SIZE, SIZE, device=job.device).to(job.dtype) for _ in range(2))
    out = torch.empty(SIZE, SIZE, dtype=job.dtype, device=job.device)

    def step() -> None:
        torch.mm(a, b, out=out)

    return step
