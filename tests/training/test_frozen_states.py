"""What is frozen is computed once for each row: the same losses and weights as without, whatever ends or fails."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from textwright.core.errors import InputError
from textwright.data.dataset import DataSplits
from textwright.data.sources.base import BatchSource
from textwright.models.language_model import LanguageModel
from textwright.training import loop
from textwright.training.cache_frozen import cache_frozen, notes_on
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.plan import Plan
from textwright.training.strategies import parameter_plan_of, parse_strategy

Make = Callable[..., LanguageModel]
Quick = Callable[..., TrainConfig]


class Trained(NamedTuple):
    losses: list[float]
    weights: dict[str, Tensor]
    times: Counter[int]
    """How often each block was computed."""
    num_rows: int


def config_for(text: str, model: LanguageModel, quick: Quick, **values: Any) -> TrainConfig:
    strategy = parse_strategy(text)
    if strategy.unties_head:
        model.untie_head()
    plan = parameter_plan_of(strategy, model.layer_groups(), steps_per_epoch=2)
    how = {"parameter_plan": plan, "optimizer": "adamw", "packing": "documents", "steps": 12, "learning_rate": 0.01}
    return quick(**how | {"compile": False} | values)


def prepared(
    model: LanguageModel, config: TrainConfig, data: DataSplits, folder: Path | None
) -> tuple[ModelWithLoss, BatchSource]:
    model_with_loss, batches = add_loss(model, config), make_batches(data.train, config, 16)
    if folder is not None:
        model_with_loss.frozen_states = cache_frozen(model_with_loss, batches, config, folder)
    return model_with_loss, batches


def trained(model: LanguageModel, config: TrainConfig, data: DataSplits, folder: Path | None) -> Trained:
    model_with_loss, batches = prepared(model, config, data, folder)
    times, rows = Counter[int](), list[dict[str, Any]]()
    for number, block in enumerate(model.blocks):  # type: ignore[arg-type]
        block.attention.register_forward_pre_hook(lambda *_, number=number: times.update([number]))  # type: ignore[union-attr]
    loop.train(model_with_loss, batches, config, callbacks=Callbacks(on_row=rows.append))
    losses = [row["loss_nats"] for row in rows if row["kind"] == "train"]
    num_rows = getattr(batches, "num_rows", 0)
    return Trained(losses, {name: value.clone() for name, value in model.state_dict().items()}, times, num_rows)


@pytest.mark.parametrize(
    ("name", "text", "precision", "first"),
    [
        ("nano", "last", "float32", 2),
        ("nano", "last:2@7 -> last", "float32", 1),
        ("nano", "last@7 -> last:2", "float32", 1),
        ("nano", "head", "float32", 3),
        ("gpt1-nano", "last", "bfloat16", 2),
        ("qwen3-nano", "last", "bfloat16", 2),
    ],
)
def test_losses_and_weights_are_those_without_it_bit_for_bit(
    name: str, text: str, precision: str, first: int, make_model: Make, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    found = []
    for folder in (None, tmp_path):
        model = make_model(name=name, num_layers=3)
        config = config_for(text, model, quick, precision=precision, micro_batch_size=2)
        found.append(trained(model, config, data, folder))
    without, kept = found
    assert kept.losses == without.losses
    assert len(kept.losses) == 12
    assert all(torch.equal(value, without.weights[key]) for key, value in kept.weights.items())
    # Two passes and more over the rows; the first one computes all of a micro-batch of which one row is new.
    assert without.num_rows < 48
    measured = 2  # what activations take is measured first, on a row and on two
    assert without.times[0] == 24 + measured
    most = without.num_rows // 2 + 2 + measured
    assert all(kept.times[block] <= most for block in range(first))
    assert all(kept.times[block] == 24 + measured for block in range(first, 3))


def test_nothing_of_it_is_left_and_a_plan_foresees_what_it_takes(
    make_model: Make, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    model = make_model(num_layers=3)
    config = config_for("last", model, quick)
    model_with_loss, batches = prepared(model, config, data, tmp_path)
    states = model_with_loss.frozen_states
    assert states is not None
    assert states.stored_bytes == states.num_samples * 16 * 32 * 4
    plans: list[Plan] = []
    seen: list[list[str]] = []
    callbacks = Callbacks(on_plan=plans.append, on_row=lambda _row: seen.append(os.listdir(tmp_path)))
    loop.train(model_with_loss, batches, config, callbacks=callbacks)
    assert states.num_known == states.num_samples
    assert not any(seen)  # a file without a name: a process that is killed leaves nothing
    assert model_with_loss.frozen_states is None
    assert plans[0].disk_bytes == states.stored_bytes
    assert notes_on(states, model, config) == [
        "what enters block 2 is kept for each row: at most 0 MB of disk, until the run ends"
    ]
    few = config.model_copy(update={"steps": 3})
    assert "hardly a row comes twice in 3 steps" in notes_on(states, model, few)[-1]


def test_a_full_disk_ends_nothing(
    make_model: Make, data: DataSplits, quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = os.pwrite, iter(range(100))

    def fills_up(*arguments: Any) -> int:
        if next(calls) >= 6:
            raise OSError(28, "No space left on device")
        return plain(*arguments)

    monkeypatch.setattr(os, "pwrite", fills_up)
    found = []
    for folder in (None, tmp_path):
        model = make_model(num_layers=3)
        found.append(trained(model, config_for("last", model, quick, micro_batch_size=2), data, folder))
    assert found[1].losses == found[0].losses
    assert next(calls) == 7


def test_dropout_stays_in_what_is_trained_alone(
    make_model: Make, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    model = make_model(num_layers=3, dropout=0.5)
    config = config_for("last", model, quick)
    model_with_loss, batches = prepared(model, config, data, tmp_path)
    model_with_loss.train()
    states = model_with_loss.frozen_states
    assert states is not None
    first, again = states.added_to(batches.batch(0)), states.added_to(batches.batch(0))
    assert all(module.training for module in model_with_loss.modules())
    assert first.hidden is not None
    assert again.hidden is not None
    assert torch.equal(first.hidden, again.hidden)
    seen: list[Tensor] = []
    model.blocks[2].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))  # type: ignore[index,operator,union-attr]
    batch = batches.batch(0)
    model.eval().hidden_states(model.embed(batch), batch)
    assert torch.equal(seen[0], first.hidden)
    model_with_loss.train()
    assert model_with_loss(first).total != model_with_loss(first).total  # the last block still drops
    assert "no dropout (the model has 0.5)" in notes_on(states, model, config)[1]
    model_with_loss.end_training()


def test_a_row_is_computed_among_as_many_whatever_comes_with_it(
    make_model: Make, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    model = make_model(num_layers=3)
    model_with_loss, batches = prepared(model, config_for("last", model, quick), data, tmp_path)
    states, sizes = model_with_loss.frozen_states, list[int]()
    assert states is not None
    model.blocks[0].register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))  # type: ignore[index,operator,union-attr]
    for start, stop in ((0, 3), (3, 4)):
        states.added_to(batches.batch(0).rows(start, stop))
    assert sizes == [3, 3]
    without = batches.batch(0).with_fields(sample_ids=None)
    assert states.added_to(without) is without
    model_with_loss.end_training()


@pytest.mark.parametrize("text", ["full", "bitfit", "gradual:every=100", "last:3", "last@3 -> full"])
def test_what_trains_the_lowest_block_is_refused(
    text: str, make_model: Make, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    model = make_model(num_layers=3)
    with pytest.raises(InputError, match="never trains the lowest block"):
        prepared(model, config_for(text, model, quick), data, tmp_path)


def test_rows_that_differ_each_time_a_teacher_and_too_little_disk_are_refused(
    make_model: Make, data: DataSplits, quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(num_layers=3)
    config = config_for("last", model, quick)
    with pytest.raises(InputError, match="packing = 'none'"):
        prepared(model, config_for("last", model, quick, packing="none"), data, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 0, 10_000))  # type: ignore[attr-defined]
        with pytest.raises(InputError, match=r"rows take 0 MB.*at most 0 MB, half of what is free"):
            prepared(model, config, data, tmp_path)
    model_with_loss, batches = prepared(model, config, data, None)
    monkeypatch.setattr(model_with_loss.objective, "teachers", lambda: [nn.Linear(1, 1)])
    with pytest.raises(InputError, match="with a teacher"):
        cache_frozen(model_with_loss, batches, config, tmp_path)
    assert not os.listdir(tmp_path)
