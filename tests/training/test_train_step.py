"""One optimizer step: the split into micro-batches, the guard, what is decayed."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.models.network import Network
from textwright.training.config import TrainConfig
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import Loss, ModelWithLoss, Term
from textwright.training.optimizers import hidden_matrices
from textwright.training.train_state import TrainState
from textwright.training.train_step import forward_backward, train_step

RAGGED = Batch.from_rows([[1, 2, 3, 4, 5, 6, 7, 8], [9, 10], [3, 1, 4, 1, 5], [16], [2, 7, 1, 8, 2, 8], [4, 4, 4]])


def _state(model: LanguageModel, config: TrainConfig) -> TrainState:
    return TrainState.begin(ModelWithLoss(model, CausalLMLoss()), config)


def _decided(config: TrainConfig) -> TrainConfig:
    return config.resolved(
        steps=6, sequence_length=16, micro_batch_size=config.micro_batch_size or config.batch_size, precision="float32"
    )


def _gradients(model: LanguageModel, micro_batches: list[Batch], whole: Batch) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of a step split any way, written out by hand."""
    step, total = ModelWithLoss(model, CausalLMLoss()), torch.zeros(())
    for micro in micro_batches:
        loss = step(micro).total / whole.loss_weight.sum()
        loss.backward()
        total += loss.detach()
    return total, [parameter.grad for parameter in step.parameters() if parameter.grad is not None]


@pytest.mark.parametrize("name", ["nano", "qwen3-nano", "gpt1-nano"])
@pytest.mark.parametrize("micro_batch_size", [1, 2, 3, 4, 5])
def test_every_split_into_micro_batches_gives_the_same_loss_and_gradient(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig], name: str, micro_batch_size: int
) -> None:
    results = []
    for rows in (6, micro_batch_size):
        state = _state(make_model(name=name), _decided(quick(micro_batch_size=rows)))
        loss, _ = forward_backward(state, RAGGED, _decided(quick(micro_batch_size=rows)))
        results.append((loss, [parameter.grad for parameter in state.optimizer.parameters]))
    (loss, gradients), (split_loss, split_gradients) = results
    torch.testing.assert_close(split_loss, loss, rtol=1e-5, atol=0)
    for whole, split in zip(gradients, split_gradients, strict=True):
        assert (whole - split).norm() <= 1e-5 * whole.norm().clamp(min=1e-3)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, 5)))
def test_uneven_splits_too(make_model: Callable[..., LanguageModel], cuts: set[int]) -> None:
    borders = [0, *sorted(cuts), 6]
    parts = [RAGGED.rows(start, stop) for start, stop in pairwise(borders)]
    whole, gradients = _gradients(make_model(), [RAGGED], RAGGED)
    split, split_gradients = _gradients(make_model(), parts, RAGGED)
    torch.testing.assert_close(split, whole, rtol=1e-5, atol=0)
    for one, other in zip(gradients, split_gradients, strict=True):
        assert (one - other).norm() <= 1e-5 * one.norm().clamp(min=1e-3)


def test_dropout_depends_on_seed_step_and_row_alone(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    def loss(seed: int, step: int) -> float:
        config = _decided(quick(seed=seed, micro_batch_size=2))
        state = _state(make_model(dropout=0.5), config)
        state.progress.step = step
        torch.rand(seed + step + 1)  # whatever was drawn before
        return forward_backward(state, RAGGED, config)[0].item()

    assert loss(0, 0) == loss(0, 0)
    assert len({loss(0, 0), loss(1, 0), loss(0, 1)}) == 3


def test_a_non_finite_gradient_moves_nothing_and_is_counted(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    config = _decided(quick())
    state = _state(make_model(), config)
    bias = state.model_with_loss.model.get_parameter("final_norm.bias")
    handle = bias.register_hook(lambda gradient: gradient * float("nan"))
    before = {name: value.clone() for name, value in state.model_with_loss.state_dict().items()}
    done = train_step(state, RAGGED, config)
    assert done.skip_reason is not None
    assert (state.progress.step, state.progress.bad_steps, state.progress.skipped_steps) == (1, 1, 1)
    assert all(torch.equal(value, before[name]) for name, value in state.model_with_loss.state_dict().items())
    assert state.optimizer.state_dict() == {}
    assert all(parameter.grad is None for parameter in state.optimizer.parameters)
    handle.remove()
    assert train_step(state, RAGGED, config).skip_reason is None
    assert (state.progress.bad_steps, state.progress.skipped_steps) == (0, 1)


def test_a_step_with_nothing_to_learn_moves_nothing_and_says_so(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    config = _decided(quick())
    state = _state(make_model(), config)
    before = {name: value.clone() for name, value in state.model_with_loss.state_dict().items()}
    done = train_step(state, Batch.for_inputs(torch.ones(2, 4, dtype=torch.int64)), config)
    assert done.skip_reason is not None
    assert "nothing to learn from" in done.skip_reason
    assert (state.progress.step, state.progress.bad_steps, state.progress.tokens) == (1, 1, 0)
    assert all(torch.equal(value, before[name]) for name, value in state.model_with_loss.state_dict().items())
    assert train_step(state, RAGGED, config).skip_reason is None


def test_a_kind_of_term_may_have_no_weight_in_a_step(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    class WithLabels(CausalLMLoss):
        """The rows' labels too, where a batch has any."""

        def weights(self, batch: Batch) -> Mapping[str, Tensor]:
            return {**super().weights(batch), "label": torch.zeros(())}

        def forward(self, model: Network, batch: Batch) -> Loss:
            loss = super().forward(model, batch)
            return Loss({**loss.terms, "label": Term(torch.zeros(()), torch.zeros(()))})

    config = _decided(quick())
    plain, more = (TrainState.begin(ModelWithLoss(make_model(), kind()), config) for kind in (CausalLMLoss, WithLabels))
    assert train_step(more, RAGGED, config).loss_nats == train_step(plain, RAGGED, config).loss_nats


def test_a_large_gradient_is_scaled_down_to_the_clip(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    free, clipped = (_decided(quick(optimizer="adamw", max_grad_norm=clip)) for clip in (1e9, 1e-9))
    moved = []
    for config in (free, clipped):
        state = _state(make_model(), config)
        before = state.model_with_loss.model.head_weight.detach().clone()
        # AdamW's epsilon outweighs a gradient this small.
        moved.append(
            (train_step(state, RAGGED, config).grad_norm, (state.model_with_loss.model.head_weight - before).norm())
        )
    assert moved[0][0] == moved[1][0] > 0
    assert moved[1][1] < 0.2 * moved[0][1]


@pytest.mark.parametrize("name", ["nano", "qwen3-nano"])
def test_muon_gets_the_hidden_matrices_and_cuts_fused_ones_in_three(
    make_model: Callable[..., LanguageModel], name: str
) -> None:
    model = make_model(name=name, num_key_value_heads=1, tie_embeddings=False)
    found = hidden_matrices(ModelWithLoss(model, CausalLMLoss()))
    assert not any("embedding" in name or "head" in name for name in found)
    assert found["model.blocks.0.attention.qkv.weight"] == (32, 16, 16)
    assert found["model.blocks.1.mlp.up.weight"] == (64,)
    assert len(found) == 2 * (5 if name == "qwen3-nano" else 4)


def test_only_matrices_decay(make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]) -> None:
    for optimizer in ("muon", "adamw"):
        config = _decided(quick(optimizer=optimizer, weight_decay=0.5, learning_rate=0.1, muon_learning_rate=0.1))
        state = _state(make_model(), config)
        before = {name: value.detach().clone() for name, value in state.model_with_loss.named_parameters()}
        state.optimizer.step(1.0, {parameter: torch.zeros_like(parameter) for parameter in state.optimizer.parameters})
        for name, value in state.model_with_loss.named_parameters():
            torch.testing.assert_close(value.detach(), before[name] * (0.95 if value.ndim >= 2 else 1.0))
