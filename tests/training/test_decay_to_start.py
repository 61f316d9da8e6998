"""L2 to the start: each trained weight goes back a part of the way, and a resumed run knows where it began."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.dataset import DataSplits
from textwright.models.language_model import LanguageModel
from textwright.runs.run_folder import Run
from textwright.training import loop
from textwright.training.callbacks import Callbacks
from textwright.training.config import ResolvedTrainConfig, TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.memory import HEAP, Activations, training_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.optimizers import Optimizer, drawn_to_start
from textwright.training.parameter_plan import ParameterPlan
from textwright.training.strategies import parameter_plan_of, parse_strategy
from textwright.training.trainer import ResumeOptions

Make = Callable[..., LanguageModel]
Quick = Callable[..., TrainConfig]


def plan_of(text: str, model: LanguageModel) -> ParameterPlan:
    return parameter_plan_of(parse_strategy(text), model.layer_groups(), steps_per_epoch=2)


def resolved(config: TrainConfig, precision: Any = "float32") -> ResolvedTrainConfig:
    return config.resolved(steps=6, sequence_length=16, micro_batch_size=4, precision=precision)


def gradients(model: ModelWithLoss, step: int) -> dict[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {weight: torch.randn(weight.shape, generator=generator) for weight in model.parameters()}


def test_adamw_moves_as_torch_s_own_and_then_goes_back_a_part_of_the_way(make_model: Make, quick: Quick) -> None:
    config = resolved(quick(optimizer="adamw", learning_rate=0.1, decay_to_start=2.0, weight_decay=0.3))
    ours, theirs = add_loss(make_model(), config), dict(add_loss(make_model(), config).named_parameters())
    start = {name: weight.detach().clone() for name, weight in theirs.items()}
    groups = [
        {"params": [weight for weight in theirs.values() if (weight.ndim >= 2) is decays], "weight_decay": 0.3 * decays}
        for decays in (True, False)
    ]
    reference, optimizer = torch.optim.AdamW(groups, lr=0.1, betas=(0.9, config.adamw_beta2)), Optimizer(ours, config)
    for step, fraction in enumerate((1.0, 0.5, 0.25)):
        optimizer.step(fraction, gradients(ours, step), copies={})
        for weight, gradient in zip(theirs.values(), gradients(ours, step).values(), strict=True):
            weight.grad = gradient
        for group in reference.param_groups:
            group["lr"] = 0.1 * fraction
        reference.step()
        with torch.no_grad():
            for name, weight in theirs.items():
                weight += 0.1 * fraction * 2.0 * (start[name] - weight)
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_with_either_optimizer_copies_follow_and_a_weight_ends_nearer_to_its_start(
    optimizer: str, make_model: Make, quick: Quick
) -> None:
    distances = {}
    for decay_to_start in (0.0, 3.0):
        config = resolved(quick(optimizer=optimizer, learning_rate=0.02, decay_to_start=decay_to_start))
        model = add_loss(make_model(), config)
        start = {weight: weight.detach().clone() for weight in model.parameters()}
        copies: dict[Tensor, Tensor] = {weight: weight.detach().bfloat16() for weight in model.parameters()}
        moving = Optimizer(model, config)
        for step in range(5):
            moving.step(1.0, gradients(model, step), copies=copies)
        for weight, copy in copies.items():
            assert torch.equal(copy, weight.detach().bfloat16())
        distances[decay_to_start] = [float((weight.detach() - start[weight]).norm()) for weight in model.parameters()]
    assert all(near < far for near, far in zip(distances[3.0], distances[0.0], strict=True))


def test_however_large_it_is_a_weight_goes_back_to_its_start_and_not_beyond(make_model: Make, quick: Quick) -> None:
    config = resolved(quick(optimizer="adamw", learning_rate=0.1, decay_to_start=1e6))
    model = add_loss(make_model(), config)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    Optimizer(model, config).step(1.0, gradients(model, 0))
    assert all(torch.equal(weight, start[name]) for name, weight in model.named_parameters())


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_that_is_resumed_in_any_stage_is_bit_for_bit_the_one_that_was_not(
    optimizer: str, make_model: Make, quick: Quick, data: DataSplits, tmp_path: Path
) -> None:
    """What trains, rests and trains again goes back to its value before the first step, not before the last stage."""
    plan = plan_of("last@2 -> bitfit@4 -> full", make_model())
    config = quick(
        parameter_plan=plan, optimizer=optimizer, decay_to_start=20.0, checkpoint_every=1, keep_checkpoints=9
    )
    batches = make_batches(data.train, config, 16)
    whole = add_loss(make_model(), config)
    loop.train(whole, batches, config)
    for last_step in (1, 3, 5):
        run = Run.create(tmp_path / f"run-{last_step}", config)

        def die(row: dict[str, Any], last_step: int = last_step) -> None:
            if row["kind"] == "train" and row["step"] == last_step + 1:
                raise RuntimeError("power cut")

        with pytest.raises(RuntimeError, match="power cut"):
            loop.train(add_loss(make_model(), config), batches, config, run=run, callbacks=Callbacks(on_row=die))
        again = add_loss(make_model(), config)
        loop.train(again, batches, config, run=run, resume=ResumeOptions())
        for name, value in whole.saved_state().items():
            assert torch.equal(again.saved_state()[name], value), (last_step, name)


def test_only_what_is_ever_trained_keeps_its_start_and_the_estimate_counts_it(make_model: Make, quick: Quick) -> None:
    model = make_model()
    plan = plan_of("last@3 -> bitfit", model)
    configs = [resolved(quick(parameter_plan=plan, decay_to_start=decay)) for decay in (0.0, 0.1)]
    estimates = []
    for config in configs:
        model_with_loss = add_loss(model, config)
        model_with_loss.mark_largest(plan)
        held = {id(weight) for weight in drawn_to_start(model_with_loss, config)}
        names = {name for name, weight in model_with_loss.named_parameters() if id(weight) in held}
        of_last = {name for name in dict(model_with_loss.named_parameters()) if ".blocks.1." in name or "final" in name}
        expected = of_last | {name for name in dict(model_with_loss.named_parameters()) if name.endswith("bias")}
        assert names == (expected if config.decay_to_start else set())
        nothing = Activations(0, 1, 0, 0)
        estimates.append(training_bytes(model_with_loss, config, nothing, saves=False))
        numbers = sum(weight.numel() for name, weight in model_with_loss.named_parameters() if name in expected)
        model_with_loss.end_training()
    assert estimates[1] - estimates[0] == pytest.approx(HEAP * 4 * numbers, abs=2)


def test_a_negative_one_is_refused() -> None:
    with pytest.raises(InputError, match="decay_to_start = -1"):
        TrainConfig(decay_to_start=-1)
