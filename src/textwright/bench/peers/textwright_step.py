"""Our step, with AdamW as the others have it."""

from collections.abc import Callable

from textwright.batches.batch import Batch
from textwright.bench.job import VOCABULARY, Job
from textwright.core.allocator import keep_freed_memory
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.training.config import TrainConfig
from textwright.training.decide import prepare_step
from textwright.training.hooks import Hooks
from textwright.training.train_state import TrainState
from textwright.training.update import update

SETTINGS = "our step, compiled by block, fused AdamW, clipping at 1.0"


def prepare(job: Job, *, compiles: bool = True) -> Callable[[], None]:
    """One step as the loop does it."""
    keep_freed_memory()
    size = preset(job.preset, vocab_size=VOCABULARY, context_length=max(1024, job.sequence_length), dropout=0.0)
    model = build(size, seed=0).to(job.device)
    config = TrainConfig(batch_size=job.batch_size, optimizer="adamw", learning_rate=1e-4, compile=compiles).decided(
        steps=10**6, sequence_length=job.sequence_length, micro_batch_size=job.batch_size, precision=job.precision
    )
    state = TrainState.begin(prepare_step(model, config, Hooks())[0], config)

    def step() -> None:
        update(state, Batch.from_ids(job.batch()), config)

    return step
