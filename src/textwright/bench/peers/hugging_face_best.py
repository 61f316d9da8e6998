"""The same with the best settings known for it."""

from collections.abc import Callable
from typing import Any

import torch

from textwright.bench.job import Job
from textwright.bench.peers.hugging_face import make_model

SETTINGS = "GPT2LMHeadModel, autocast to the job's precision, fused AdamW, torch.compile of the whole, clipping at 1.0"


def prepare(job: Job) -> Callable[[], None]:
    """One step: forward, backward, clip, update."""
    model = make_model(job)
    model.config.use_cache = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.1, fused=True)
    compiled: Any = torch.compile(model)

    def step() -> None:
        ids = job.batch()[:, :-1]
        with torch.autocast(job.device, dtype=torch.bfloat16, enabled=job.precision == "bfloat16"):
            loss = compiled(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        model.zero_grad()

    return step
