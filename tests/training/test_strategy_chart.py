"""The picture of what trains when says what the plan does, and fits a terminal."""

from pathlib import Path

import pytest

from tests.training.test_strategies import groups_of, plan_of
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.training.parameter_plan import Rule, Stage
from textwright.training.strategy_chart import WIDTH, strategy_chart

STAGED = """\
final norm  ████████████████████████████████████████████████████████
block 3     ████████████████████████████████████████████████████████
block 2     ··············██████████████████████████████████████████
block 1     ··············██████████████████████████████████████████
block 0     ·······························█████████████████████████
embeddings  ·······························█████████████████████████
steps       0             300              600                 1,000

            █ trained  · frozen"""


def bars(chart: str) -> dict[str, str]:
    """What is drawn for each row."""
    rows = chart.split("\nsteps")[0].splitlines()
    marks = "█▒·"
    return {
        row[: min(row.index(mark) for mark in marks if mark in row)].strip(): "".join(c for c in row if c in marks)
        for row in rows
    }


def test_stages_are_drawn_from_the_top_of_the_network_down() -> None:
    groups = groups_of(4)
    assert strategy_chart(plan_of("last@300 -> last:3@600 -> full", groups), groups, steps=1000) == STAGED


@pytest.mark.parametrize("num_blocks", [1, 4, 12, 13, 48])
@pytest.mark.parametrize("text", ["full", "last", "bitfit", "gradual:every=7", "last@3 -> full", "gradual:every=200"])
@pytest.mark.parametrize("layer_decay", [1.0, 0.7])
def test_any_strategy_of_any_model_fits_a_terminal(num_blocks: int, text: str, layer_decay: float) -> None:
    groups = groups_of(num_blocks, has_head=num_blocks == 48)
    plan = plan_of(text, groups, layer_decay=layer_decay)
    for steps in (1, 10, 1000, 123_456_789):
        chart = strategy_chart(plan, groups, steps=steps)
        lines = chart.splitlines()
        assert max(map(len, lines)) <= WIDTH
        assert len(lines) <= 20
        assert all(line == line.rstrip() for line in lines)
        drawn = bars(chart)
        assert len({len(bar) for bar in drawn.values()}) == 1
        assert f"{steps:,}" in chart


def test_a_part_that_is_reached_later_is_frozen_until_then_and_in_proportion() -> None:
    groups = groups_of(2)
    drawn = bars(strategy_chart(plan_of("gradual:every=250", groups), groups, steps=1000))
    assert drawn["final norm"] == drawn["block 1"] == "█" * len(drawn["block 1"])
    assert drawn["block 0"].count("█") / len(drawn["block 0"]) == pytest.approx(0.75, abs=0.05)
    assert drawn["embeddings"].count("█") / len(drawn["embeddings"]) == pytest.approx(0.5, abs=0.05)
    assert "·█" in drawn["block 0"]
    assert "█·" not in drawn["block 0"]


def test_many_blocks_that_are_alike_are_one_row_and_many_that_are_not_share_rows() -> None:
    groups = groups_of(48)
    last = bars(strategy_chart(plan_of("last:2", groups), groups, steps=100))
    assert list(last) == ["final norm", "blocks 46 to 47", "blocks 0 to 45", "embeddings"]
    chart = strategy_chart(plan_of("gradual:every=10", groups), groups, steps=1000)
    drawn = bars(chart)
    assert list(drawn)[1:4] == ["blocks 44 to 47", "blocks 40 to 43", "blocks 36 to 39"]
    assert list(drawn)[-2] == "blocks 0 to 3"
    assert "▒ some of these blocks" in chart
    # Of 44 to 47 all train from step 30 on.
    assert drawn["blocks 44 to 47"].lstrip("▒") == "█" * len(drawn["blocks 44 to 47"].lstrip("▒"))


def test_what_is_trained_in_part_is_told_by_what_it_is() -> None:
    groups = groups_of(2)
    chart = strategy_chart(plan_of("bitfit", groups), groups, steps=10)
    assert set(bars(chart)["block 0"]) == set(bars(chart)["final norm"]) == {"▒"}
    assert set(bars(chart)["embeddings"]) == {"·"}
    assert chart.endswith("▒ biases only  · frozen")
    frozen = Rule(pattern="*", trained=False)
    by_hand = (Stage(rules=(Rule(pattern="*.up.weight"), frozen)),)
    assert "▒ some of its weights" in strategy_chart(by_hand, groups, steps=10)


def test_parts_of_the_learning_rate_stand_beside_the_rows() -> None:
    groups = groups_of(2)
    rows = strategy_chart(plan_of("full", groups, layer_decay=0.5), groups, steps=10).splitlines()
    assert [row.rpartition("x ")[2] for row in rows[:4]] == ["1", "1", "0.5", "0.25"]
    assert rows[-1].endswith("x times the learning rate")


def test_stages_that_the_run_does_not_reach_are_counted() -> None:
    groups = groups_of(4)
    chart = strategy_chart(plan_of("gradual:every=100", groups), groups, steps=300)
    assert set(bars(chart)["embeddings"]) == set(bars(chart)["block 0"]) == {"·"}
    assert chart.splitlines()[-1].strip() == "2 more stages begin after the last step"
    chart = strategy_chart(plan_of("last@10 -> full", groups), groups, steps=10)
    assert chart.splitlines()[-1].strip() == "1 more stage begins after the last step"


def test_the_pictures_in_the_document_are_those_that_are_drawn() -> None:
    document = (Path(__file__).parents[2] / "docs" / "finetuning.md").read_text(encoding="utf-8")
    for num_blocks, text, steps, layer_decay in (
        (4, "last@300 -> last:3@600 -> full", 1000, 1.0),
        (12, "gradual:every=200", 3000, 0.8),
    ):
        shape = {"num_layers": num_blocks, "num_heads": 1, "hidden_size": 4, "head_dim": 4, "intermediate_size": 4}
        groups = build(preset("nano", vocab_size=8).model_copy(update=shape)).layer_groups()
        chart = strategy_chart(plan_of(text, groups, layer_decay=layer_decay), groups, steps=steps)
        assert f"`{text}`" in document
        assert f"```text\n{chart}\n```" in document
