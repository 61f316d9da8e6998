"""Training adapters of low rank: what moves, what it costs, and that a run goes on as if it had not been cut."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.test_lora import train_a_little
from tests.training.conftest import train
from tests.training.test_compilation import run_compiled
from textwright.checkpoint.model_folder import load_model, save_model
from textwright.checkpoint.training_state import read_checkpoint
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.data.dataset import DataSplits
from textwright.models.language_model import LanguageModel
from textwright.models.layers.low_rank import lora_layers
from textwright.models.lora import LoraConfig, add_lora, lora_state, merge_lora
from textwright.runs.run_folder import Run
from textwright.tokens import make_tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.compute_weights import num_copied
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.parameter_plan import ParameterPlan, Rule, Stage
from textwright.training.train_state import TrainState
from textwright.training.trainer import ResumeOptions

MakeModel = Callable[..., LanguageModel]
Quick = Callable[..., TrainConfig]


def lora_plan(**values: float) -> ParameterPlan:
    """What was added is trained, and nothing else of the model."""
    return (Stage(rules=(Rule(pattern="model.*.lora_[ab]", **values), Rule(pattern="model.*", trained=False))),)


def adapted(model: LanguageModel, **values: Any) -> LanguageModel:
    add_lora(model, LoraConfig.model_validate({"rank": 3} | values), seed=1)
    return model


def state_of(model: LanguageModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def batch(seed: int = 0) -> Batch:
    return Batch.from_ids(torch.randint(0, 17, (4, 17), generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_adapters_learn_and_all_else_keeps_every_bit(
    make_model: MakeModel, data: DataSplits, quick: Quick, optimizer: str, precision: str
) -> None:
    model = adapted(make_model(), targets=("query", "value", "up"))
    before, added = state_of(model), lora_state(model).keys()
    values = {"learning_rate": 0.05, "optimizer": optimizer, "precision": precision, "compile": False}
    config = quick(steps=25, parameter_plan=lora_plan(), **values)
    report = train(model, data, config)
    assert report.first_loss_nats is not None
    assert report.last_loss_nats is not None
    assert report.last_loss_nats < report.first_loss_nats - 0.15
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == added
    assert all(parameter.requires_grad for parameter in model.parameters())  # the run leaves no trace


def test_gradients_are_those_of_the_plain_matrix_put_through_the_product(make_model: MakeModel) -> None:
    model, plain = adapted(make_model(name="qwen3-nano"), targets=("query", "value", "down")), make_model()
    train_a_little(model)
    plain = make_model(name="qwen3-nano")
    plain.load_state_dict({name: value.clone() for name, value in model.exported_tensors().items()})
    for one in (model, plain):
        ModelWithLoss(one.train(), CausalLMLoss())(batch()).total.backward()
    for name, layer in lora_layers(model):
        whole = plain.get_parameter(f"{name}.weight").grad
        assert whole is not None
        for pair in layer.low_rank():
            rows = pair.scale * whole[pair.start : pair.stop]
            torch.testing.assert_close(pair.lora_a.grad, pair.lora_b.detach().T @ rows, atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(pair.lora_b.grad, rows @ pair.lora_a.detach().T, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_frozen_matrices_have_no_gradient_and_in_bfloat16_one_copy(
    make_model: MakeModel, quick: Quick, precision: str
) -> None:
    model = adapted(make_model())
    train_a_little(model)
    model_with_loss = ModelWithLoss(model, CausalLMLoss()).train()
    model_with_loss.mark(lora_plan()[0])
    config = quick().resolved(steps=6, sequence_length=16, micro_batch_size=2, precision=precision)
    state = TrainState.begin(model_with_loss, config)
    loss = state.compute.loss(batch()).total
    loss.backward()  # type: ignore[no-untyped-call]
    added = {model.get_parameter(name) for name in lora_state(model)}
    assert state.compute.gradients().keys() == added
    assert all(gradient.dtype == torch.float32 and gradient.any() for gradient in state.compute.gradients().values())
    assert num_copied(model_with_loss) == sum(model.get_parameter(name).numel() for name in model.hidden_matrices())
    with torch.no_grad():
        exact = model_with_loss(batch()).total
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5 if precision == "float32" else 0.02)


def test_blocks_that_are_computed_again_learn_the_same(make_model: MakeModel, data: DataSplits, quick: Quick) -> None:
    found = []
    for again in (False, True):
        model = adapted(make_model(), dropout=0.3)
        train(model, data, quick(parameter_plan=lora_plan(), activation_checkpointing=again))
        found.append(lora_state(model))
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_that_was_cut_goes_on_bit_for_bit(
    make_model: MakeModel, data: DataSplits, quick: Quick, tmp_path: Path, precision: str
) -> None:
    config = quick(
        steps=7, checkpoint_every=3, micro_batch_size=3, precision=precision, parameter_plan=lora_plan(), compile=False
    )
    whole, model = Run.create(tmp_path / "whole", config), adapted(make_model(), dropout=0.2)
    train(model, data, config, run=whole)

    cut, calls = Run.create(tmp_path / "cut", config), iter(range(100))

    def die_at_step_5(row: dict[str, Any]) -> None:
        if row["kind"] == "train" and next(calls) == 4:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(adapted(make_model(), dropout=0.2), data, config, run=cut, callbacks=Callbacks(on_row=die_at_step_5))
    resumed = make_model(seed=5)
    add_lora(resumed, LoraConfig(rank=3, dropout=0.2), seed=9)  # other weights: all must come from the checkpoint
    train(resumed, data, config, run=cut, resume=ResumeOptions())
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in model.state_dict().items())
    newest = cut.newest_checkpoint()[0]
    assert newest is not None
    held = {name for name in read_checkpoint(newest)[0] if name.startswith("optimizer/")}
    assert {name.removeprefix("optimizer/model.").rpartition("/")[0] for name in held} == lora_state(model).keys()
    with pytest.raises(InputError, match=r"(?s)the checkpoint is of another model.*lora_a"):
        train(adapted(make_model(), rank=4), data, config, run=cut, resume=ResumeOptions())


def test_the_model_that_a_run_leaves_is_a_plain_one(
    make_model: MakeModel, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    config = quick(parameter_plan=lora_plan(), learning_rate=0.02)
    tokenizer = make_tokenizer("char", lambda: iter(["abc"]))
    model, run = adapted(make_model()), Run.create(tmp_path / "run", config)
    callbacks = Callbacks(save_model=lambda network, folder: save_model(network, tokenizer, folder))
    train(model, data, config, run=run, callbacks=callbacks)
    assert lora_state(model)
    found = load_model(run.model)
    merge_lora(model)
    assert found.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_network_without_adapters_is_told_so(make_model: MakeModel, data: DataSplits, quick: Quick) -> None:
    with pytest.raises(InputError, match=r"the pattern 'model\.\*\.lora_\[ab\]' fits no weight"):
        train(make_model(), data, quick(parameter_plan=lora_plan()))


def test_a_plan_may_give_adapters_a_rate_and_a_decay_of_their_own(make_model: MakeModel, quick: Quick) -> None:
    model_with_loss = add_loss(adapted(make_model()), quick())
    model_with_loss.mark(lora_plan(learning_rate_factor=5.0, weight_decay=0.0)[0])
    config = quick(weight_decay=0.1).resolved(steps=6, sequence_length=16, micro_batch_size=2, precision="float32")
    (part,) = TrainState.begin(model_with_loss, config).optimizer._parts
    assert [(group["lr"], group["weight_decay"]) for group in part.param_groups] == [(5 * config.learning_rate, 0.0)]


# In a process of its own, without the type checks that the tests put around every call; traced and differentiated as
# when it is compiled, which takes longer, and run as it is.
COMPILED = """
import functools, numpy, torch
from textwright.data.dataset import TokenDataset
from textwright.models.catalog import build
from textwright.models.lora import LoraConfig, add_lora, lora_state
from textwright.models.presets import preset
from textwright.training.config import TrainConfig
from textwright.training import loop
from textwright.training.from_config import add_loss, make_batches
from textwright.training.parameter_plan import Rule, Stage
PLAN = [Stage(rules=[Rule(pattern="model.*.lora_[ab]"), Rule(pattern="model.*", trained=False)])]

torch.set_num_threads(1)
torch.compile = functools.partial(torch.compile, backend="aot_eager")
ids = numpy.cumsum(numpy.random.default_rng(0).integers(0, 3, 4000)) % 60
shape = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "num_key_value_heads": 2, "head_dim": 16}
found = []
for compiled in (False, True):
    config = preset("qwen3-nano", vocab_size=64, context_length=16).model_copy(update=shape | {"intermediate_size": 48})
    model = build(config, seed=0)
    add_lora(model, LoraConfig(rank=4, targets=("query", "value", "down")))
    training = TrainConfig(compile=compiled, steps=2, batch_size=4, micro_batch_size=4, sequence_length=16,
        precision="float32", optimizer="adamw", parameter_plan=PLAN)
    batches = make_batches(TokenDataset.from_documents([ids]), training, 16)
    loop.train(add_loss(model, training), batches, training)
    found.append(lora_state(model))
for name, value in found[0].items():
    torch.testing.assert_close(found[1][name], value, atol=1e-4, rtol=1e-3)
print("same", torch._dynamo.utils.counters["frames"]["ok"])
"""


def test_a_compiled_block_is_one_piece_with_its_adapters_and_learns_the_same() -> None:
    done = run_compiled(COMPILED)
    assert done.returncode == 0, done.stderr
    # The block for the first layer, of whose input no gradient is asked for, and for the other; and the logits.
    assert done.stdout == "same 3\n"
