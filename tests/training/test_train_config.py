import subprocess
import sys

import pytest

from textwright.core.config import read_config, to_toml
from textwright.core.errors import InputError
from textwright.training.config import FineTuneConfig, TrainConfig


def test_the_config_loads_without_torch() -> None:
    code = "import sys, textwright.training.config, textwright.training.schedules; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"muon_learning_rate": float("inf")}, "muon_learning_rate"),
        ({"learning_rate": -1.0}, "greater than or equal to 0"),
        ({"stepz": 3}, "did you mean 'steps'"),
        ({"steps": 3, "minutes": 1}, "steps or minutes, not both"),
        ({"optimizer": "sgd"}, "'muon' or 'adamw'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_config(TrainConfig, values, "run.toml")
    assert "\n" not in str(error.value)


def test_a_decided_config_is_complete_and_decided_for_good() -> None:
    config = TrainConfig(minutes=3, sample_every=7)
    decided = config.resolved(steps=999, sequence_length=64, micro_batch_size=6, precision="float32")
    assert (decided.steps, decided.minutes, decided.micro_batch_size) == (999, None, 6)
    assert (decided.warmup_steps, decided.evaluate_every, decided.sample_every) == (50, 100, 7)
    assert decided.resolved(steps=999, sequence_length=64, micro_batch_size=6, precision="float32") == decided
    assert "auto" not in to_toml(decided)


@pytest.mark.parametrize(("steps", "momentum"), [(10, 0.8), (500, 0.8), (1000, 0.9), (2000, 0.95), (10**6, 0.95)])
def test_a_short_run_forgets_its_gradients_sooner(steps: int, momentum: float) -> None:
    decided = TrainConfig().resolved(steps=steps, sequence_length=64, micro_batch_size=6, precision="float32")
    assert decided.muon_momentum == pytest.approx(momentum)
    longer = TrainConfig(muon_momentum=0.7).resolved(
        steps=steps, sequence_length=64, micro_batch_size=6, precision="float32"
    )
    assert longer.muon_momentum == 0.7


def test_fit_is_gentle() -> None:
    config = FineTuneConfig(steps=50)
    assert (config.optimizer, config.schedule, config.packing) == ("adamw", "wsd", "documents")
    assert (config.batch_size, config.learning_rate) == (8, 3e-4)
    resolved = config.resolved(steps=50, sequence_length=64, micro_batch_size=8, precision="float32")
    assert (resolved.warmup_steps, resolved.decay_fraction) == (5, 0.2)
