"""Our step, with AdamW as the others have it."""

from collections.abc import Callable

from textwright.bench.job import Job
from textwright.core.allocator import keep_freed_memory
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.resolve_config import prepare_step
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

SETTINGS = "our step, compiled by block, fused AdamW, clipping at 1.0"


def prepare(job: Job, *, compiles: bool = True) -> Callable[[], None]:
    """One step as the loop does it."""
    keep_freed_memory()
    model = build(job.model, seed=0).to(job.device)
    config = TrainConfig(batch_size=job.batch_size, optimizer="adamw", learning_rate=1e-4, compile=compiles).resolved(
        steps=10**6, sequence_length=job.sequence_length, micro_batch_size=job.batch_size, precision=job.precision
    )
    model_with_loss = add_loss(model, config)
    prepare_step(model_with_loss, config, Callbacks())
    state = TrainState.begin(model_with_loss, config)

    def step() -> None:
        train_step(state, Batch.from_ids(job.batch()), config)

    return step
