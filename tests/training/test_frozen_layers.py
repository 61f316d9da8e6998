"""What a strategy freezes costs nothing and keeps every bit; what it trains moves as a plain loop would move it."""

import functools
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.data.dataset import DataSplits
from textwright.models.language_model import LanguageModel
from textwright.models.layers import cross_entropy
from textwright.training import loop
from textwright.training.callbacks import Callbacks
from textwright.training.config import ResolvedTrainConfig, TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.memory import Activations, measure_activations, training_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.optimizers import Optimizer
from textwright.training.parameter_plan import ParameterPlan, stage_at
from textwright.training.schedules import learning_rate_fraction
from textwright.training.strategies import parameter_plan_of, parse_strategy
from textwright.training.train_state import TrainState
from textwright.training.train_step import forward_backward, train_step

Make = Callable[..., LanguageModel]
Quick = Callable[..., TrainConfig]


def plan_of(text: str, model: LanguageModel) -> ParameterPlan:
    strategy = parse_strategy(text)
    if strategy.unties_head:
        model.untie_head()
    return parameter_plan_of(strategy, model.layer_groups(), steps_per_epoch=2)


def resolved(config: TrainConfig, precision: Any = "float32") -> ResolvedTrainConfig:
    return config.resolved(steps=6, sequence_length=16, micro_batch_size=4, precision=precision)


def begun(model: LanguageModel, config: ResolvedTrainConfig) -> TrainState:
    """The state of a model's first stage."""
    model_with_loss = add_loss(model, config).train()
    model_with_loss.mark(stage_at(config.parameter_plan, 0))
    return TrainState.begin(model_with_loss, config)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("text", ["last", "last:2", "head", "bitfit", "gradual:every=4", "last@2 -> bitfit"])
def test_what_is_frozen_keeps_every_bit_and_all_else_moves(
    text: str, optimizer: str, precision: str, make_model: Make, data: DataSplits, quick: Quick
) -> None:
    model = make_model(num_layers=3, dropout=0.1)
    plan = plan_of(text, model)
    config = quick(
        parameter_plan=plan, optimizer=optimizer, precision=precision, learning_rate=0.01, decay_to_start=0.1
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model_with_loss = add_loss(model, config)
    reached = tuple(stage for stage in plan if stage.from_step < 6)
    ever = {name.removeprefix("model.") for name in model_with_loss.ever_trained(reached)}
    loop.train(model_with_loss, make_batches(data.train, config, 16), config)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == ever
    assert 0 < len(ever) < len(before)


def test_last_holds_under_half_of_the_gradients_and_optimizer_state_of_full(
    make_model: Make, data: DataSplits, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[Any] = []
    plain_step = Optimizer.step

    def step(self: Optimizer, fraction: float, gradients: Any, **how: Any) -> None:
        handed.append(list(gradients.values()))
        plain_step(self, fraction, gradients, **how)

    monkeypatch.setattr(Optimizer, "step", step)
    held = {}
    for text in ("full", "last"):
        model = make_model(num_layers=3)
        config = resolved(quick(parameter_plan=plan_of(text, model), optimizer="adamw"))
        state = begun(model, config)
        train_step(state, make_batches(data.train, config, 16).batch(0), config)
        tensors = [*handed.pop(), *state.optimizer.state_dict().values()]
        storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
        held[text] = sum(storages.values())
    whole = sum(weight.numel() for weight in make_model(num_layers=3).parameters())
    assert held["full"] >= 3 * 4 * whole  # a gradient and two running means, in float32
    assert held["last"] < held["full"] / 2


def test_gradual_is_a_plain_loop_of_torch_step_by_step(make_model: Make, data: DataSplits, quick: Quick) -> None:
    model, reference = make_model(num_layers=3), make_model(num_layers=3)
    plan = plan_of("gradual:every=3", model)
    config = quick(parameter_plan=plan, steps=12, optimizer="adamw", learning_rate=0.003, warmup_steps=2, compile=False)
    batches = make_batches(data.train, config, 16)
    rows: list[dict[str, Any]] = []
    loop.train(add_loss(model, config), batches, config, callbacks=Callbacks(on_row=rows.append))
    found = [row["loss_nats"] for row in rows if row["kind"] == "train"]

    weights = dict(reference.named_parameters())
    joins = [("blocks.2.", "final_norm."), ("blocks.1.",), ("blocks.0.",), ("token_embedding.", "position_embedding.")]
    trained: list[Tensor] = []
    optimizer: torch.optim.AdamW | None = None
    expected = []
    for step in range(12):
        if step % 3 == 0:
            new = [weight for name, weight in weights.items() if name.startswith(joins[step // 3])]
            for decay, ndims in ((0.1, (2,)), (0.0, (1,))):
                group = {"params": [weight for weight in new if weight.ndim in ndims], "weight_decay": decay}
                if optimizer is None:
                    optimizer = torch.optim.AdamW([group], betas=(0.9, 0.95))
                elif group["params"]:
                    optimizer.add_param_group(group)
            trained += new
        assert optimizer is not None
        rate = 0.003 * learning_rate_fraction(
            step, steps=12, schedule="wsd", warmup_steps=2, decay_fraction=0.6, min_lr_ratio=0.0
        )
        batch = batches.batch(step)
        hidden = reference.hidden_states(reference.embed(batch), batch)
        logits = hidden @ weights["token_embedding.weight"].T
        losses = F.cross_entropy(logits.flatten(0, 1), batch.target_ids.flatten(), reduction="none")
        counts = batch.loss_weight.flatten()
        loss = (losses * counts).sum() / counts.sum()
        expected.append(loss.item())
        for weight, gradient in zip(trained, torch.autograd.grad(loss, trained), strict=True):
            weight.grad = gradient
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for of_optimizer in optimizer.param_groups:
            of_optimizer["lr"] = rate
        optimizer.step()
    assert found == pytest.approx(expected, abs=2e-5)
    assert expected[-1] < expected[0] - 0.05
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["nano", "gpt1-nano", "qwen3-nano"])
@pytest.mark.parametrize(
    ("text", "runs_back"),
    [("last", [2]), ("last:2", [1, 2]), ("head", []), ("full", [0, 1, 2]), ("last:3", [0, 1, 2])],
)
def test_nothing_runs_back_below_the_lowest_trained_block_dropout_or_not(
    name: str, text: str, runs_back: list[int], make_model: Make, data: DataSplits, quick: Quick
) -> None:
    for dropout in (0.0, 0.2) if name != "qwen3-nano" else (0.0,):
        model = make_model(name=name, num_layers=3, dropout=dropout)
        config = resolved(quick(parameter_plan=plan_of(text, model) or [{}]))
        state = begun(model, config)
        came_back: list[int] = []
        for number, block in enumerate(model.blocks):  # type: ignore[arg-type]
            block.register_forward_hook(functools.partial(note_backward, came_back, number))
        forward_backward(state, make_batches(data.train, config, 16).batch(0), config)
        assert sorted(came_back) == runs_back
        assert set(state.compute.gradients()) == set(state.optimizer.parameters)
        held = state.optimizer.state_dict()
        assert not held
        train_step(state, make_batches(data.train, config, 16).batch(0), config)
        names = {name.removeprefix("model.").rpartition("/")[0] for name in state.optimizer.state_dict()}
        assert names == {name for name, weight in model.named_parameters() if weight.requires_grad}


def note_backward(came_back: list[int], number: int, _module: Any, _inputs: Any, out: Tensor) -> None:
    """Have the number noted when a gradient comes to what the block gave."""
    if out.requires_grad:
        out.register_hook(lambda _grad: came_back.append(number))


def test_checkpointed_blocks_that_are_frozen_are_computed_once(
    make_model: Make, data: DataSplits, quick: Quick
) -> None:
    model = make_model(num_layers=3, dropout=0.1)
    config = resolved(quick(parameter_plan=plan_of("last", model), micro_batch_size=4))
    state = begun(model, config)
    model.enable_activation_checkpointing()
    times = [0, 0, 0]
    for number, block in enumerate(model.blocks):  # type: ignore[arg-type]

        def count(_module: Any, _inputs: Any, number: int = number) -> None:
            times[number] += 1

        block.attention.register_forward_pre_hook(count)  # type: ignore[union-attr]
    forward_backward(state, make_batches(data.train, config, 16).batch(0), config)
    assert times == [1, 1, 2]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_frozen_tied_head_gets_no_gradient_in_any_number_of_chunks(
    precision: Any, make_model: Make, data: DataSplits, quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for max_bytes in (2**27, 2000):
        monkeypatch.setattr(cross_entropy, "MAX_LOGIT_BYTES", max_bytes)
        model = make_model()
        config = resolved(quick(parameter_plan=plan_of("last", model)), precision)
        state = begun(model, config)
        kept: list[Tensor] = []
        with torch.autograd.graph.saved_tensors_hooks(functools.partial(keep, kept), lambda tensor: tensor):
            loss, _ = forward_backward(state, make_batches(data.train, config, 16).batch(0), config)
        assert model.head_weight.shape not in {tensor.shape for tensor in kept}  # neither it nor its gradient
        assert model.head_weight.grad is None
        found.append({model_name(state.model_with_loss, weight): g for weight, g in state.compute.gradients().items()})
        found[-1]["loss"] = loss
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=2e-2 if precision == "bfloat16" else 1e-4, atol=1e-4)


def keep(kept: list[Tensor], tensor: Tensor) -> Tensor:
    kept.append(tensor)
    return tensor


def model_name(model_with_loss: ModelWithLoss, weight: Tensor) -> str:
    return next(name for name, its in model_with_loss.named_parameters() if its is weight)


def test_memory_is_foreseen_for_the_blocks_that_are_trained(make_model: Make, data: DataSplits, quick: Quick) -> None:
    measured: dict[str, tuple[Activations, int]] = {}
    for text in ("full", "last"):
        for checkpoints in (False, True):
            model = make_model(num_layers=8)
            config = resolved(quick(parameter_plan=plan_of(text, model) or [{}], activation_checkpointing=checkpoints))
            model_with_loss = add_loss(model, config).train()
            model_with_loss.mark(config.parameter_plan[0])
            batch = make_batches(data.train, config, 16).batch(0)
            activations = measure_activations(model_with_loss, config, batch)
            total = training_bytes(model_with_loss, config, activations, saves=False) - activations.used_bytes
            measured[f"{text}, {checkpoints}"] = activations, total
    for checkpoints in (False, True):
        full, last = measured[f"full, {checkpoints}"], measured[f"last, {checkpoints}"]
        assert last[0].row_bytes < full[0].row_bytes
        assert last[1] < full[1]
    for text, num_inputs in (("full", 8), ("last", 1)):
        checkpointed = measured[f"{text}, True"][0]
        assert checkpointed.row_bytes == checkpointed.block_bytes + num_inputs * 16 * 32 * 4
    # A block that runs back is held twice, whether the others run back or not.
    full_block, last_block = measured["full, False"][0].block_bytes, measured["last, False"][0].block_bytes
    assert last_block == pytest.approx(full_block, rel=0.3)


PROGRAM = """
import functools
from pathlib import Path
import numpy, torch
compile_for = {backend: functools.partial(torch.compile, backend=backend) for backend in ("aot_eager", "eager")}
from textwright.data.dataset import TokenDataset
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.training import loop
from textwright.training.cache_frozen import cache_frozen
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.strategies import parameter_plan_of, parse_strategy

torch.set_num_threads(1)
tokens = TokenDataset.from_documents([numpy.cumsum(numpy.random.default_rng(0).integers(0, 3, 2000)) % 60])
shape = {"num_layers": 3, "hidden_size": 16, "num_heads": 2, "num_key_value_heads": 2, "head_dim": 8}
shape = preset("nano", vocab_size=61, context_length=8).model_copy(update=shape | {"intermediate_size": 32})
common = {"batch_size": 3, "micro_batch_size": 2, "sequence_length": 8, "precision": "float32", "optimizer": "adamw"}

def config_for(text, **values):
    plan = parameter_plan_of(parse_strategy(text), build(shape).layer_groups(), steps_per_epoch=1)
    return TrainConfig(parameter_plan=plan, **common, **values)

torch.compile = compile_for["aot_eager"]
config = config_for("last")
model = build(shape)
model.compile_for_training()
model_with_loss = add_loss(model, config).train()
model_with_loss.mark(config.parameter_plan[0])
waiting, found = [model_with_loss(make_batches(tokens, config, 8).batch(0)).total.grad_fn], set()
while waiting:
    node = waiting.pop()
    if node is not None and node not in found:
        found.add(node)
        waiting += [further for further, _ in node.next_functions]
print("backward through", sum("CompiledFunction" in type(node).__name__ for node in found), "compiled block")
torch._dynamo.reset()
torch._dynamo.utils.counters.clear()

torch.compile = compile_for["eager"]
weights = []
for compiled in (False, True):
    model, config = build(shape, seed=0), config_for("last@1 -> bitfit@2 -> full", steps=3, compile=compiled)
    loop.train(add_loss(model, config), make_batches(tokens, config, 8), config)
    weights.append(model.state_dict())
for key, value in weights[0].items():
    torch.testing.assert_close(weights[1][key], value, atol=1e-5, rtol=1e-4)
print("compiled", torch._dynamo.utils.counters["frames"]["ok"])

weights, tokens = [], TokenDataset.from_documents([tokens.read(8 * row, 8 * row + 8) for row in range(6)])
for folder in (None, Path(".")):
    config = config_for("last", steps=4, compile=True, packing="documents").model_copy(update={"batch_size": 4})
    model, batches = build(shape, seed=0), make_batches(tokens, config, 8)
    model_with_loss = add_loss(model, config)
    if folder is not None:
        model_with_loss.frozen_states = cache_frozen(model_with_loss, batches, config, folder)
    loop.train(model_with_loss, batches, config)
    weights.append(model.state_dict())
print("kept", all(torch.equal(value, weights[1][key]) for key, value in weights[0].items()))
"""


def test_compiled_blocks_that_are_frozen_have_no_backward_and_every_stage_is_compiled() -> None:
    """In a process without the type checks that the tests put around every call, and without the slow part of
    torch.compile.
    """
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("needs a C++ compiler")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # In two sizes of micro-batches: a frozen block, one with frozen ones below it, two with biases alone, and one of
    # which everything is trained, more than the 8 at which torch itself stops; and what is done to the logits.
    assert done.stdout == "backward through 1 compiled block\ncompiled 12\nkept True\n"
