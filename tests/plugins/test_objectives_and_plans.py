"""A teacher whose hidden states are read, a mixture of three sources, and weights that are thawed layer by layer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import textwright
from tests.plugins import hidden_states
from tests.plugins.hidden_states import HiddenStatesConfig
from tests.plugins.lora import add_lora
from textwright.api.config import RunConfig
from textwright.checkpoint.training_state import read_checkpoint
from textwright.core.config import AS_BEFORE, read_stored
from textwright.core.errors import InputError
from textwright.core.journal import read_rows
from textwright.data.batch import Batch
from textwright.data.dataset import TokenDataset
from textwright.data.sources.base import BatchSource
from textwright.data.sources.mixture import Mixture
from textwright.data.sources.packed_documents import PackedDocuments
from textwright.data.sources.windows import Windows
from textwright.models.catalog import build
from textwright.models.gpt.network import GPT
from textwright.models.presets import preset
from textwright.runs.run_folder import Run
from textwright.training import loop
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.losses.catalog import OBJECTIVES, read_objective
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.parameter_plan import Rule, Stage
from textwright.training.train_state import TrainState
from textwright.training.train_step import forward_backward, train_step
from textwright.training.trainer import ResumeOptions

VOCABULARY, TIME = 16, 12
DISTANT = {"name": "toy_hidden_states", "points": ["blocks.0.hook_resid_post", "blocks.1.hook_mlp_out"], "factor": 0.5}
FROZEN = Rule(pattern="*", trained=False)
THAWING = (
    Stage(rules=(Rule(pattern="*.lora_?", learning_rate_factor=2.0), FROZEN)),
    Stage(
        from_step=4, rules=(Rule(pattern="*.blocks.1.*"), Rule(pattern="*.lora_?"), Rule(pattern="*", trained=False))
    ),
    Stage(from_step=8, rules=(Rule(pattern="*.blocks.*"), FROZEN)),
)


@pytest.fixture(autouse=True)
def _row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES.rows, "toy_hidden_states", "tests.plugins.hidden_states:HiddenStatesConfig")


def config(**changes: Any) -> TrainConfig:
    values = {"precision": "float32", "optimizer": "adamw", "learning_rate": 0.01, "compile": False, "threads": 1}
    common = {"batch_size": 4, "micro_batch_size": 2, "sequence_length": TIME, "steps": 12, "checkpoint_every": 3}
    return TrainConfig.model_validate(values | common | {"keep_checkpoints": 9} | changes)


def gpt(seed: int = 0) -> GPT:
    shape = preset("nano", vocab_size=VOCABULARY, context_length=TIME).reduced(num_layers=2, vocab_size=VOCABULARY)
    model = build(shape, seed=seed)
    assert isinstance(model, GPT)
    return model


def tokens(step: int = 1) -> TokenDataset:
    """Documents in which each token follows from the one before."""
    documents = [
        [1 + (start + step * n) % 15 for n in range(length)] + [0] for start, length in enumerate([9, 30, 14] * 9)
    ]
    return TokenDataset.from_documents(documents)


def windows(step: int = 1) -> Windows:
    return Windows(tokens(step), batch_size=4, sequence_length=TIME, seed=step)


def rows_of(model_with_loss: ModelWithLoss, batches: BatchSource, training: TrainConfig, **named: Any) -> list[Any]:
    """The train rows of a training."""
    rows: list[dict[str, Any]] = []
    loop.train(model_with_loss, batches, training, callbacks=Callbacks(on_row=rows.append), **named)
    return [row for row in rows if row["kind"] == "train"]


def cut_and_resumed(tmp_path: Path, make: Any, training: TrainConfig, last_step: int) -> tuple[Run, ModelWithLoss]:
    """A run whose process dies after a step, and another that goes on."""

    def die(row: dict[str, Any]) -> None:
        if row["kind"] == "train" and row["step"] == last_step:
            raise RuntimeError("power cut")

    run = Run.create(tmp_path / "run", training)
    with pytest.raises(RuntimeError, match="power cut"):
        loop.train(make(), windows(), training, run=run, callbacks=Callbacks(on_row=die))
    again = make()
    loop.train(again, windows(), training, run=run, resume=ResumeOptions())
    return run, again


def test_a_student_comes_near_its_teacher_whose_weights_no_checkpoint_holds(tmp_path: Path) -> None:
    training = config(objective=DISTANT, steps=9)
    whole = add_loss(gpt(), training)
    teacher = {name: value.clone() for name, value in whole.objective.teacher.state_dict().items()}  # type: ignore[union-attr,operator]
    found = rows_of(whole, windows(), training)
    assert found[-1]["loss_nats"] < found[0]["loss_nats"]
    run, again = cut_and_resumed(tmp_path, lambda: add_loss(gpt(seed=3), training), training, last_step=7)
    for checkpoint in run.checkpoints.iterdir():
        names = read_checkpoint(checkpoint)[0].keys()
        assert any("objective.bridge.weight" in name for name in names)
        assert not any("teacher" in name for name in names)
    for name, value in again.objective.teacher.state_dict().items():  # type: ignore[union-attr,operator]
        assert torch.equal(value, teacher[name]), name


def test_a_run_with_a_teacher_resumes_bit_for_bit(tmp_path: Path) -> None:
    training = config(objective=DISTANT, steps=9)
    whole = add_loss(gpt(), training)
    loop.train(whole, windows(), training)
    _, again = cut_and_resumed(tmp_path, lambda: add_loss(gpt(), training), training, last_step=7)
    for name, value in whole.saved_state().items():
        assert torch.equal(again.saved_state()[name], value), name


def test_settings_of_an_objective_are_read_from_a_config_and_checked(tmp_path: Path) -> None:
    training = config(objective=DISTANT)
    stored = Run.create(tmp_path / "run", training).read_config()[0]
    objective = read_objective(read_stored(TrainConfig, stored, "config.toml").objective)
    assert objective == HiddenStatesConfig(points=tuple(DISTANT["points"]), factor=0.5)
    with pytest.raises(InputError, match=r"objective: factor = -1.*greater than or equal to 0|factor = -1"):
        read_objective({"name": "toy_hidden_states", "factor": -1})
    with pytest.raises(InputError, match="did you mean 'factor'"):
        read_objective({"name": "toy_hidden_states", "facto": 1})
    with pytest.raises(InputError, match=r"unknown hook point 'blocks\.9"):
        add_loss(gpt(), config(objective=DISTANT | {"points": ["blocks.9.hook_mlp_out"]}))


def test_a_run_goes_on_with_the_settings_that_its_objective_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a later release has for defaults, and whatever settings it brings."""

    class LaterConfig(HiddenStatesConfig):
        factor: float = 100.0
        sharpness: float = Field(default=9.0, json_schema_extra={AS_BEFORE: 1.0})

    text = tmp_path / "text.txt"
    text.write_text("The cat sat on the mat. The dog sat on the log.\n" * 40)
    training = {"objective": "toy_hidden_states", "steps": 2, "batch_size": 2, "precision": "float32", "threads": 1}
    values = {"data": [text], "tokenizer": "byte", "model": {"preset": "nano", "context_length": 16}}
    given = RunConfig.model_validate(values | {"training": training | {"compile": False}})
    textwright.train(given, tmp_path / "run", quiet=True)
    stored = Run(tmp_path / "run").read_config()[0]["training"]["objective"]
    assert stored == HiddenStatesConfig().model_dump(mode="json")
    row = next(row for row in read_rows(Run(tmp_path / "run").journal) if row["kind"] == "train")
    parts = {name: value for name, value in row.items() if name.startswith("loss_nats/")}
    assert parts.keys() == {"loss_nats/next_token", "loss_nats/hidden_states"}
    assert sum(parts.values()) == pytest.approx(row["loss_nats"])

    monkeypatch.setattr(hidden_states, "HiddenStatesConfig", LaterConfig)
    seen: list[HiddenStatesConfig] = []
    build_it = HiddenStatesConfig.build
    monkeypatch.setattr(HiddenStatesConfig, "build", lambda self, model: seen.append(self) or build_it(self, model))
    textwright.resume(tmp_path / "run", steps=3, quiet=True)
    assert seen[-1].model_dump() == HiddenStatesConfig().model_dump() | {"sharpness": 1.0}


def test_three_sources_in_changing_parts_each_with_its_loss_in_the_journal(tmp_path: Path) -> None:
    sources = {
        "prose": windows(1),
        "code": windows(2),
        "notes": PackedDocuments(tokens(4), batch_size=4, sequence_length=TIME),
    }
    weights = [(0, {"prose": 1, "code": 1}), (4, {"prose": 1, "code": 1, "notes": 2}), (8, {"notes": 1})]
    mixture = Mixture(sources, weights, batch_size=4)
    training = config()
    run = Run.create(tmp_path / "run", training)
    loop.train(add_loss(gpt(), training), mixture, training, run=run)
    rows = [row for row in read_rows(run.journal) if row["kind"] == "train"]
    for row in rows:
        expected = (
            {"prose", "code"} if row["step"] <= 4 else {"prose", "code", "notes"} if row["step"] <= 8 else {"notes"}
        )
        assert {name.partition("/")[2] for name in row if name.startswith("loss_nats/")} == expected
    by_step = {row["step"]: row for row in rows}
    assert by_step[12]["loss_nats"] == pytest.approx(by_step[12]["loss_nats/notes"])
    assert by_step[4]["loss_nats"] == pytest.approx((by_step[4]["loss_nats/prose"] + by_step[4]["loss_nats/code"]) / 2)


def with_lora(training: TrainConfig) -> ModelWithLoss:
    return add_loss(add_lora(gpt(), rank=2), training)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_layers_are_thawed_one_after_the_other_and_the_rest_keeps_every_bit(tmp_path: Path, optimizer: str) -> None:
    training = config(parameter_plan=THAWING, optimizer=optimizer)
    before = {name: value.clone() for name, value in with_lora(training).saved_state().items()}
    run, again = cut_and_resumed(tmp_path, lambda: with_lora(training), training, last_step=7)
    whole = with_lora(training)
    loop.train(whole, windows(), training)
    for name, value in whole.saved_state().items():
        assert torch.equal(again.saved_state()[name], value), name
    trained = {3: ("lora_",), 6: ("lora_", ".blocks.1."), 9: (".blocks.",), 12: (".blocks.",)}
    for step, parts in trained.items():
        tensors, _ = read_checkpoint(run.checkpoints / f"step-{step}")
        moved = {name for name, value in before.items() if not torch.equal(tensors[f"weights/{name}"], value)}
        assert moved == {name for name in before if any(part in name for part in parts)}, step
        held = {name.removeprefix("optimizer/").rpartition("/")[0] for name in tensors if name.startswith("optimizer/")}
        assert held == moved, step
    # What trained from the start has a state of all steps, and a matrix of LoRA is never orthogonalised.
    assert tensors["optimizer/model.blocks.0.attention.qkv.lora_a/step"] == 12
    assert tensors["optimizer/model.blocks.1.mlp.up.bias/step"] == 8
    assert tensors["optimizer/model.blocks.0.mlp.up.bias/step"] == 4
    assert ("optimizer/model.blocks.1.mlp.up.weight/momentum_buffer" in tensors) == (optimizer == "muon")
    assert all(parameter.requires_grad for parameter in again.parameters())  # the run leaves no trace
    events = [row for row in read_rows(run.journal) if row.get("event") == "stage"]
    assert [row["step"] for row in events] == [4, 8]


def test_what_is_frozen_gets_no_gradient_and_nothing_runs_back_below_the_lowest_trained_block() -> None:
    training = config(parameter_plan=THAWING).resolved(
        steps=12, sequence_length=TIME, micro_batch_size=2, precision="float32"
    )
    model_with_loss = with_lora(training)
    model_with_loss.mark(Stage(rules=(Rule(pattern="*.blocks.1.*"), Rule(pattern="*", trained=False))))
    state = TrainState.begin(model_with_loss.train(), training)
    needs_grad = {}
    for number, block in enumerate(model_with_loss.model.blocks):  # type: ignore[arg-type]
        block.register_forward_hook(lambda _m, _i, out, n=number: needs_grad.update({n: out.requires_grad}))
    forward_backward(state, windows().batch(0), training)
    assert needs_grad == {0: False, 1: True}
    names = {parameter: name for name, parameter in model_with_loss.named_parameters()}
    assert all(".blocks.1." in names[parameter] for parameter in state.compute.gradients())
    assert len(state.compute.gradients()) == sum(".blocks.1." in name for name in names.values())


class _Casts(TorchDispatchMode):
    """Counts numbers that are cast to bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and isinstance(result, Tensor) and result.dtype == torch.bfloat16:
            self.sizes.append(result.numel())
        return result


def test_frozen_weights_are_cast_once_and_not_in_every_step() -> None:
    training = config(parameter_plan=THAWING, precision="bfloat16").resolved(
        steps=12, sequence_length=TIME, micro_batch_size=2, precision="bfloat16"
    )
    model_with_loss = with_lora(training)
    model_with_loss.mark(THAWING[0])
    frozen = {parameter.numel() for parameter in model_with_loss.parameters() if parameter.ndim == 2} - {
        parameter.numel() for parameter in model_with_loss.parameters() if parameter.requires_grad
    }
    with _Casts() as at_first:
        state = TrainState.begin(model_with_loss.train(), training)
    assert frozen - set(at_first.sizes) == {model_with_loss.model.position_embedding.weight.numel()}  # type: ignore[union-attr]
    batch: Batch = windows().batch(0)
    with _Casts() as in_a_step:
        train_step(state, batch, training)
    head = model_with_loss.model.head_weight.numel()  # type: ignore[union-attr,operator]
    assert not {size for size in in_a_step.sizes if size in frozen and size != head}
    assert sum(size == head for size in in_a_step.sizes) == 0


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([{"rules": [{"pattern": "*.lora_c"}]}], r"pattern '\*\.lora_c' fits no weight.*from step 0"),
        ([{"rules": [{"pattern": "*", "trained": False}]}], "no weight is trained"),
        ([{}, {"from_step": 5, "rules": [{"pattern": "*.mpl.*"}]}], r"fits no weight.*from step 5"),
        ([{"rules": [{"pattern": "*.lora_a", "optimizer": "muon"}]}], r"optimizer = 'muon' for '.*lora_a'"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_before_the_first_step(plan: Any, message: str) -> None:
    training = config(parameter_plan=plan)
    with pytest.raises(InputError, match=message):
        loop.train(with_lora(training), windows(), training)


def test_stages_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="stages from step 0 on, in order, not from 0, 4, 4"):
        config(parameter_plan=[{}, {"from_step": 4}, {"from_step": 4}])
