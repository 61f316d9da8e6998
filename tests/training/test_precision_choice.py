"""``auto`` takes the precision that is fast here, whatever the processor announces."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.training.conftest import train
from textwright.core.device import Precision, PrecisionRates, choose_precision, measure_products, measure_rates
from textwright.core.journal import read_rows
from textwright.data.dataset import DataSplits
from textwright.models.language_model import LanguageModel
from textwright.runs.run_folder import Run
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.precision import StepProbe
from textwright.training.trainer import ResumeOptions

MakeModel = Callable[..., LanguageModel]
Quick = Callable[..., TrainConfig]


def sleeping(float32_s: float, bfloat16_s: float) -> Callable[[Precision], None]:
    return lambda name: time.sleep(float32_s if name == "float32" else bfloat16_s)


def test_the_faster_one_is_taken_by_what_work_takes() -> None:
    assert measure_rates(sleeping(0.02, 0.01), 1.0).faster == "bfloat16"
    assert measure_rates(sleeping(0.01, 0.02), 1.0).faster == "float32"


def test_what_is_as_fast_is_float32_from_run_to_run() -> None:
    assert PrecisionRates(100.0, 102.0).faster == "float32"
    assert PrecisionRates(100.0, 106.0).faster == "bfloat16"


def test_one_slow_turn_changes_nothing() -> None:
    turns = iter([0.01, 0.01, 0.01, 0.3, *[0.01] * 20])
    rates = measure_rates(lambda name: time.sleep(next(turns) if name == "float32" else 0.02), 1.0, max_s=5)
    assert rates.faster == "float32"


def test_an_announcement_alone_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr("textwright.core.device.measure_products", lambda *_: PrecisionRates(300e9, 165e9))
    assert choose_precision(torch.device("cpu"), "auto") == "float32"


def test_measuring_takes_well_under_a_second_and_leaves_the_model_alone(make_model: MakeModel) -> None:
    model = make_model(hidden_size=768, num_heads=12, num_key_value_heads=12, head_dim=64, intermediate_size=3072)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    begun_s = time.process_time()
    rates = StepProbe(model, batch_size=2, sequence_length=16).measure_rates()
    assert time.process_time() - begun_s < 3  # 0.5 on two cores where nobody else is
    assert min(rates.float32, rates.bfloat16) > 1e8
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(generator, torch.get_rng_state())
    assert measure_products(8, 32).float32 > 0


def test_the_choice_and_its_rates_are_written_down_and_not_made_again(
    make_model: MakeModel, data: DataSplits, quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[TrainConfig] = []
    config = quick(precision="auto", checkpoint_every=3)
    run = Run.create(tmp_path / "run", config)
    monkeypatch.setattr(StepProbe, "measure_rates", lambda _: PrecisionRates(165e9, 300e9))
    train(make_model(), data, config, run=run, callbacks=Callbacks(on_resolved=decided.append))
    assert decided[0].precision == "bfloat16"
    (row,) = [row for row in read_rows(run.journal) if row.get("event") == "precision"]
    assert (row["float32_flops_per_s"], row["bfloat16_flops_per_s"]) == (165e9, 300e9)
    assert "bfloat16" in row["message"]

    def never(_: object) -> PrecisionRates:
        raise AssertionError("a resumed run does not choose again")

    monkeypatch.setattr(StepProbe, "measure_rates", never)
    train(make_model(), data, decided[0].with_changes({"steps": 8}), run=run, resume=ResumeOptions())
