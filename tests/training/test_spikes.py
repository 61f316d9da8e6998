"""A loss far outside the last ones is noticed; an ordinary one is not."""

import random
from collections.abc import Callable

import torch

from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.training.config import TrainConfig
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.spikes import MIN_RECENT, NUM_RECENT, deviations_above
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

BATCH = Batch.from_rows([[1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1]])


def test_deviations_are_counted_from_the_mean_of_the_recent_losses() -> None:
    recent = [1.0, 3.0] * 20
    assert deviations_above(8.0, recent) == 6.0
    assert deviations_above(-4.0, recent) == -6.0
    assert deviations_above(99.0, recent[: MIN_RECENT - 1]) == 0.0
    assert deviations_above(99.0, [2.0] * 30) == 0.0


def _state(model: LanguageModel, config: TrainConfig) -> TrainState:
    state = TrainState.begin(ModelWithLoss(model, CausalLMLoss()), config)
    draw = random.Random(0)
    state.progress.recent_losses = [0.5 + draw.random() / 100 for _ in range(NUM_RECENT)]
    return state


def test_a_spike_moves_no_weight_and_is_not_learned_from_later(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    config = quick(loss_spike_threshold=6.0).resolved(
        steps=6, sequence_length=8, micro_batch_size=2, precision="float32"
    )
    state = _state(make_model(), config)
    before = {name: value.clone() for name, value in state.model_with_loss.state_dict().items()}
    recent = list(state.progress.recent_losses)
    done = train_step(state, BATCH, config)
    assert done.skip_reason is not None
    assert "deviations above the last 100" in done.skip_reason
    assert all(torch.equal(value, before[name]) for name, value in state.model_with_loss.state_dict().items())
    assert (state.progress.bad_steps, state.progress.skipped_steps) == (1, 1)
    assert state.progress.recent_losses == recent


def test_without_being_asked_for_nothing_is_a_spike(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    config = quick().resolved(steps=6, sequence_length=8, micro_batch_size=2, precision="float32")
    state = _state(make_model(), config)
    assert train_step(state, BATCH, config).skip_reason is None
    assert len(state.progress.recent_losses) == NUM_RECENT


def test_the_memory_is_of_the_last_hundred(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    config = quick(loss_spike_threshold=1e9).resolved(
        steps=6, sequence_length=8, micro_batch_size=2, precision="float32"
    )
    state = _state(make_model(), config)
    loss = train_step(state, BATCH, config).loss_nats
    assert len(state.progress.recent_losses) == NUM_RECENT
    assert state.progress.recent_losses[-1] == loss
