"""bfloat16 copies compute what bfloat16 autocast computes, and the float32 originals are what is moved and saved."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.training.compute_weights import BFloat16Copies, PlainWeights
from textwright.training.config import TrainConfig
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.precision import autocast
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step

MakeModel = Callable[..., LanguageModel]


def batch(seed: int = 0, time: int = 16) -> Batch:
    """Random ids."""
    return Batch.from_ids(torch.randint(0, 17, (4, time + 1), generator=torch.Generator().manual_seed(seed)))


def gradients(model_with_loss: ModelWithLoss, loss: Callable[[Batch], Tensor], time: int) -> dict[str, Tensor]:
    """Of two micro-batches, added up."""
    model_with_loss.zero_grad()
    for seed in (0, 1):
        loss(batch(seed, time)).backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model_with_loss.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["nano", "qwen3-nano", "gpt1-nano"])
@pytest.mark.parametrize("time", [16, 160])  # attention in one piece, and by blocks
def test_gradients_are_as_near_to_float32_as_those_of_autocast(make_model: MakeModel, name: str, time: int) -> None:
    model_with_loss = ModelWithLoss(make_model(name=name, context_length=time), CausalLMLoss()).train()
    exact = gradients(model_with_loss, lambda b: PlainWeights(model_with_loss).loss(b).total, time)
    device = torch.device("cpu")

    def under_autocast(micro: Batch) -> Tensor:
        with autocast(device, "bfloat16"):
            total: Tensor = model_with_loss(micro).total
        return total

    theirs = gradients(model_with_loss, under_autocast, time)
    copies = BFloat16Copies(model_with_loss)

    gradients(model_with_loss, lambda b: copies.loss(b).total, time)
    found = copies.gradients()
    ours = {name: found[p] for name, p in model_with_loss.named_parameters() if p in found}
    assert ours.keys() == exact.keys()
    for key, value in exact.items():
        error, allowed = (ours[key] - value).norm(), (theirs[key] - value).norm()
        assert error <= 2 * allowed + 1e-6 * value.norm(), key


def test_what_moves_is_float32_and_what_computes_follows(
    make_model: MakeModel, quick: Callable[..., TrainConfig]
) -> None:
    config = quick().resolved(steps=6, sequence_length=16, micro_batch_size=2, precision="bfloat16")
    state = TrainState.begin(ModelWithLoss(make_model(), CausalLMLoss()).train(), config)
    before = state.compute.loss(batch()).total.item()
    for _ in range(5):
        train_step(state, batch(), config)
    assert {tensor.dtype for tensor in state.state_dict()[0].values()} == {torch.float32}
    after = state.compute.loss(batch()).total.item()
    assert after < before
    fresh = BFloat16Copies(state.model_with_loss).loss(batch()).total.item()
    assert after == fresh


def test_restored_weights_are_computed_with_at_once(make_model: MakeModel, quick: Callable[..., TrainConfig]) -> None:
    config = quick().resolved(steps=6, sequence_length=16, micro_batch_size=2, precision="bfloat16")
    states = [TrainState.begin(ModelWithLoss(make_model(seed=seed), CausalLMLoss()).train(), config) for seed in (0, 1)]
    tensors, facts = states[0].state_dict()
    states[1].load_state_dict({name: value.clone() for name, value in tensors.items()}, facts)
    losses = [state.compute.loss(batch()).total.item() for state in states]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["nano", "qwen3-nano", "gpt1-nano"])
def test_float32_is_plain_pytorch(make_model: MakeModel, name: str) -> None:
    model_with_loss = ModelWithLoss(make_model(name=name), CausalLMLoss()).train()
    model, micro = model_with_loss.model, batch()
    ours = PlainWeights(model_with_loss).loss(micro).total
    ours.backward()  # type: ignore[no-untyped-call]
    found = {key: p.grad.clone() for key, p in model_with_loss.named_parameters() if p.grad is not None}
    model_with_loss.zero_grad()
    logits = model.hidden_states(model.embed(micro), micro) @ model.head_weight.t()
    plain = torch.nn.functional.cross_entropy(logits.flatten(0, 1), micro.target_ids.flatten(), reduction="sum")
    plain.backward()  # type: ignore[no-untyped-call]
    assert abs(ours.item() - plain.item()) <= 1e-5 * plain.item()
    for key, p in model_with_loss.named_parameters():
        assert p.grad is not None
        assert (found[key] - p.grad).norm() <= 1e-5 * p.grad.norm(), key
