"""A run with minutes ends with them, whatever the machine does meanwhile, and resumes to the same bits."""

import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.training.conftest import train
from textwright.core.journal import read_rows
from textwright.data.dataset import DataSplits
from textwright.models.language_model import LanguageModel
from textwright.models.layers.training_kernels import load_kernels
from textwright.models.network import Network
from textwright.runs.run_folder import Run
from textwright.training import trainer
from textwright.training.callbacks import Callbacks, Evaluation
from textwright.training.clock import Clock, StepTimings
from textwright.training.config import TrainConfig
from textwright.training.schedules import learning_rate_fraction, place_in_schedule
from textwright.training.train_step import StepResult
from textwright.training.trainer import ResumeOptions

MakeModel = Callable[..., LanguageModel]
Quick = Callable[..., TrainConfig]


def test_the_learning_rate_neither_jumps_nor_ends_early_when_the_length_changes() -> None:
    lengths = [(0, 1000), (60, 300), (150, 200)]
    steps = 200
    found = [
        learning_rate_fraction(
            step,
            steps=steps,
            schedule="wsd",
            warmup_steps=10,
            decay_fraction=0.6,
            min_lr_ratio=0.0,
            lengths=[length for length in lengths if length[0] <= step],
        )
        for step in range(steps)
    ]
    assert found[10:60] == [1.0] * 50
    falls = [before - after for before, after in itertools.pairwise(found[10:])]
    assert min(falls) >= 0
    assert max(falls) < 0.03  # the fall is taken in one stretch, without a step
    assert 0 < found[-1] < 0.03


def test_without_changes_a_schedule_is_what_it_was() -> None:
    assert place_in_schedule(7, [(0, 20)]) == 7 / 20
    for schedule in ("wsd", "cosine"):
        options = {"steps": 40, "schedule": schedule, "warmup_steps": 4, "decay_fraction": 0.5, "min_lr_ratio": 0.1}
        for step in range(40):
            plain = learning_rate_fraction(step, **options)  # type: ignore[arg-type]
            assert learning_rate_fraction(step, lengths=[(0, 40)], **options) == pytest.approx(plain)  # type: ignore[arg-type]


def test_pauses_take_a_tenth_at_most_and_the_rest_goes_to_steps() -> None:
    timings = StepTimings(step_s=0.1, evaluate_s=2.0, sample_s=1.0, save_s=0.5)
    length = Clock(180, TrainConfig(minutes=3)).length(timings, from_step=0, elapsed_s=10)
    config = length.applied_to(
        TrainConfig().resolved(steps=1, sequence_length=8, micro_batch_size=1, precision="float32")
    )
    assert 180 * 0.93 < 10 + timings.total_s(config) < 180
    assert timings.total_s(config) - length.steps * 0.1 < 0.1 * 180 + 3.5


@pytest.mark.parametrize(("from_step", "elapsed_s"), [(0, 0.0), (6, 19.5), (35, 61.2), (75, 115.9), (105, 160.7)])
def test_a_look_leaves_no_pause_more_than_was_counted(from_step: int, elapsed_s: float) -> None:
    """A demo of three minutes made six evaluations, two of them in its last nine steps, and lost nine steps by it."""
    timings = StepTimings(step_s=1.3, evaluate_s=3.6, sample_s=0.4, save_s=0.1)
    config = TrainConfig(minutes=3)
    length = Clock(180.0, config).length(timings, from_step=from_step, elapsed_s=elapsed_s)
    made = [
        step
        for step in range(max(1, from_step), length.steps + 1)
        if step == length.steps or step % length.evaluate_every == 0
    ]
    left_s = 180.0 - elapsed_s
    took_s = len(made) * 4.1
    assert took_s <= max(4.1, 0.1 * left_s)
    assert (length.steps - from_step) * 1.3 + took_s <= left_s


def test_pauses_that_were_asked_for_are_kept_and_counted() -> None:
    timings = StepTimings(step_s=0.1, evaluate_s=1.0, sample_s=0.0, save_s=0.0)
    length = Clock(100, TrainConfig(minutes=1, evaluate_every=5)).length(timings, from_step=0, elapsed_s=0)
    assert length.evaluate_every == 5
    assert 280 < length.steps < 340  # 0.3 s a step, the evaluations included


def test_it_looks_at_a_tenth_and_before_the_fall_and_each_time_once() -> None:
    clock = Clock(100, TrainConfig(minutes=1, decay_fraction=0.5))
    clock.note_step(1.0)
    due = [second for second in range(100) if clock.is_due(second, 0.0)]
    assert due == [10, 40, 50, 70, 90]


@pytest.mark.parametrize("slower", [6.0, 1 / 6])
def test_a_machine_that_changes_its_pace_ends_the_run_on_time_all_the_same(
    make_model: MakeModel, data: DataSplits, quick: Quick, monkeypatch: pytest.MonkeyPatch, slower: float
) -> None:
    """After two thirds of a second every step takes six times, or a sixth of, what it took before."""
    load_kernels(make_model())  # which takes seconds the first time, and is not what is looked at here
    pace = [0.024 if slower < 1 else 0.004]
    really, begun_s = trainer.train_step, time.perf_counter()

    def train_step(*arguments: object) -> StepResult:
        time.sleep(pace[0] * (slower if time.perf_counter() - begun_s > 0.66 else 1.0))
        return really(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer, "train_step", train_step)
    monkeypatch.setattr("textwright.training.resolve_config.train_step", train_step)
    rows: list[dict[str, object]] = []
    begun_s = time.perf_counter()
    train(make_model(), data, quick(steps=None, minutes=4 / 60, threads=1), callbacks=Callbacks(on_row=rows.append))
    assert 4 * 0.8 < time.perf_counter() - begun_s < 4 * 1.25
    changes = [row for row in rows if row.get("event") == "length"]
    assert len(changes) >= 2
    # The learning rate is at its end when the minutes are.
    rates = [float(str(row["learning_rate"])) for row in rows if row["kind"] == "train"]
    assert rates[-1] < 0.2 * max(rates)


def test_a_run_whose_length_changed_resumes_to_the_same_bits(
    make_model: MakeModel, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    """The looks are taken from the checkpoint and, where they came after it, from the journal; nothing is timed."""
    weights, kept = [], []
    config = quick(steps=None, minutes=2 / 60, threads=1, checkpoint_every=7, keep_checkpoints=100)
    whole = Run.create(tmp_path / "whole", config)
    decided: list[TrainConfig] = []
    model = make_model(dropout=0.1)
    report = train(model, data, config, run=whole, callbacks=Callbacks(on_resolved=decided.append))
    weights.append(model.state_dict())
    kept.append([_learned(row) for row in read_rows(whole.journal) if row["kind"] == "train"])
    changes = [row for row in read_rows(whole.journal) if row.get("event") == "length"]
    assert changes

    before = max(step for step in range(0, changes[-1]["from_step"], 7))
    for folder in whole.checkpoints.iterdir():
        if int(folder.name.removeprefix("step-")) > before:
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
    model = make_model(dropout=0.1)
    again = train(model, data, decided[-1], run=whole, resume=ResumeOptions())
    weights.append(model.state_dict())
    kept.append([_learned(row) for row in read_rows(whole.journal) if row["kind"] == "train"])
    assert again.steps == report.steps
    assert kept[0] == kept[1]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_a_run_whose_length_changed_can_be_lengthened(
    make_model: MakeModel, data: DataSplits, quick: Quick, tmp_path: Path
) -> None:
    config = quick(steps=None, minutes=1 / 60, threads=1)
    run = Run.create(tmp_path / "run", config)
    decided: list[TrainConfig] = []
    steps = train(make_model(), data, config, run=run, callbacks=Callbacks(on_resolved=decided.append)).steps
    longer = decided[-1].with_changes({"steps": steps + 5})
    assert train(make_model(), data, longer, run=run, resume=ResumeOptions()).steps == steps + 5


def test_compiling_and_recomputing_end_with_the_run(make_model: MakeModel, data: DataSplits, quick: Quick) -> None:
    model = make_model()
    train(model, data, quick(steps=1, activation_checkpointing=True))
    assert not model._checkpoints_activations  # type: ignore[attr-defined]
    assert model._compiled_block is None  # type: ignore[attr-defined]


def test_evaluations_know_the_precision_from_the_first_on(
    make_model: MakeModel, data: DataSplits, quick: Quick
) -> None:
    seen: list[str] = []

    def evaluate(model: Network, config: TrainConfig) -> Evaluation:
        seen.append(config.precision)
        return Evaluation({"val_loss_nats": 1.0})

    train(
        make_model(),
        data,
        quick(steps=None, minutes=0.5 / 60, precision="bfloat16"),
        callbacks=Callbacks(evaluate=evaluate),
    )
    assert seen
    assert set(seen) == {"bfloat16"}


def _learned(row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name in ("step", "loss_nats", "learning_rate", "grad_norm")}


def test_lengths_are_plain_values() -> None:
    length = Clock(10, TrainConfig(minutes=1)).length(StepTimings(1, 0, 0, 0), from_step=3, elapsed_s=0)
    assert all(isinstance(value, int) for value in dataclasses.asdict(length).values())
