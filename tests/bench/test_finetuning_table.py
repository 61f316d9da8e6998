"""The rows of the table of fine-tuning have as many steps as their seconds hold, and say what is trained when."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.training.strategies import parameter_plan_of, parse_strategy

STEP_S = {"last": 1.0, "last:2": 2.0, "last:3": 3.0, "last:4": 4.0, "full": 5.0}


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return import_module("finetuning_times")


@pytest.mark.parametrize("strategy", ["full", "last", "gradual", "staged"])
def test_a_row_has_the_steps_that_its_seconds_hold_and_not_one_more(times: Any, strategy: str) -> None:
    row = times.FineTuningRow(strategy, "e2e")
    timed = {name: {"step_s": step_s, "change_s": 0.5} for name, step_s in STEP_S.items()}
    steps = times.steps_within(row, timed, 200.0)
    assert times.seconds_of(row, timed, steps) <= 200.0 < times.seconds_of(row, timed, steps + 1)
    if strategy in ("full", "last"):
        assert steps == 200 / STEP_S[strategy]


@pytest.mark.parametrize("strategy", ["gradual", "staged"])
@pytest.mark.parametrize("steps", [57, 64])
def test_the_stages_that_are_timed_are_those_that_the_strategy_means(times: Any, strategy: str, steps: int) -> None:
    row = times.FineTuningRow(strategy, "e2e")
    groups = build(preset("nano", vocab_size=17, context_length=16).model_copy(update={"num_layers": 4})).layer_groups()

    def plan_of(text: str) -> Any:
        return parameter_plan_of(parse_strategy(text), groups, steps_per_epoch=1)

    begun, expected = 0, []
    for name, end in times.stages_of(row, steps):
        plan = plan_of(name)
        expected.append((begun, plan[0].rules if plan else ()))
        begun = end
    assert begun == steps
    assert [(stage.from_step, stage.rules) for stage in plan_of(row.text(steps))] == expected
