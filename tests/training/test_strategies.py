"""What a line of text trains when, and what it is answered with where it cannot be meant."""

from collections.abc import Callable
from fnmatch import fnmatchcase

import pytest

from textwright.core.errors import InputError
from textwright.models.language_model import LanguageModel
from textwright.models.layer_groups import LayerGroup
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.parameter_plan import ParameterPlan, Stage, check_plan, rule_for, rules_for
from textwright.training.strategies import LoraConfig, StrategyStage, parameter_plan_of, parse_strategy

Make = Callable[..., LanguageModel]


def groups_of(num_blocks: int, *, has_bias: bool = True, has_head: bool = False) -> tuple[LayerGroup, ...]:
    """As a pre-norm GPT has them, with a matrix and perhaps a bias in each block."""
    ends = ("weight", "bias") if has_bias else ("weight",)
    blocks = [
        LayerGroup(f"block {n}", "block", (f"blocks.{n}.",), tuple(f"blocks.{n}.mlp.up.{end}" for end in ends))
        for n in range(num_blocks)
    ]
    return (
        LayerGroup("embeddings", "embedding", ("token_embedding.",), ("token_embedding.weight",)),
        *blocks,
        LayerGroup("final norm", "final_norm", ("final_norm.",), tuple(f"final_norm.{end}" for end in ends)),
        *([LayerGroup("head", "head", ("untied_head.",), ("untied_head.weight",))] if has_head else []),
    )


def plan_of(text: str, groups: tuple[LayerGroup, ...], **named: float) -> ParameterPlan:
    plan = parameter_plan_of(parse_strategy(text), groups, steps_per_epoch=named.pop("steps_per_epoch", 100), **named)
    check_plan(plan)
    return plan


def trained(plan: ParameterPlan, groups: tuple[LayerGroup, ...]) -> dict[int, set[str]]:
    """The names of the parts that are trained from each stage's first step on; all of each, or none."""
    found: dict[int, set[str]] = {}
    for stage in plan or (Stage(),):
        found[stage.from_step] = set()
        for group in groups:
            rules = [rule_for(stage, f"model.{weight}") for weight in group.weights]
            states = {rule is None or rule.trained for rule in rules}
            assert len(states) == 1, group
            if states == {True}:
                found[stage.from_step].add(group.name)
        names = [f"model.{weight}" for group in groups for weight in group.weights]
        assert rules_for(stage, names) == {name: rule_for(stage, name) for name in names}
        for rule in stage.rules:  # a pattern that fits nothing would end the run
            assert any(fnmatchcase(name, rule.pattern) for name in names)
    return found


ALL = {"embeddings", "block 0", "block 1", "block 2", "final norm"}
TOP = {"block 2", "final norm"}
MEANT = {
    "full": {0: ALL},
    "last": {0: TOP},
    "last:2": {0: TOP | {"block 1"}},
    "last:3": {0: ALL - {"embeddings"}},
    "gradual:every=200": {0: TOP, 200: TOP | {"block 1"}, 400: ALL - {"embeddings"}, 600: ALL},
    "gradual": {0: TOP, 34: TOP | {"block 1"}, 67: ALL - {"embeddings"}, 101: ALL},
    "gradual:every=epoch": {0: TOP, 34: TOP | {"block 1"}, 67: ALL - {"embeddings"}, 101: ALL},
    "last@300 -> last:2@600 -> full": {0: TOP, 300: TOP | {"block 1"}, 600: ALL},
    "last@300→full": {0: TOP, 300: ALL},
    "last@10 -> gradual:every=5@17 -> full": {0: TOP, 15: TOP | {"block 1"}, 17: ALL},
    "full@5->last": {0: ALL, 5: TOP},
}


@pytest.mark.parametrize("text", MEANT)
def test_what_a_strategy_trains_from_which_step_on(text: str) -> None:
    groups = groups_of(3)
    assert trained(plan_of(text, groups, steps_per_epoch=33.4), groups) == MEANT[text]


def test_of_very_little_text_gradual_takes_a_step_for_each_epoch() -> None:
    groups = groups_of(3)
    assert list(trained(plan_of("gradual", groups, steps_per_epoch=0.2), groups)) == [0, 1, 2, 3]


def test_a_head_of_its_own_is_frozen_with_the_embeddings_and_joins_with_them() -> None:
    groups = groups_of(2, has_head=True)
    found = trained(plan_of("gradual:every=10", groups), groups)
    everything = {group.name for group in groups}
    assert found == {0: {"block 1", "final norm"}, 10: everything - {"embeddings", "head"}, 20: everything}
    assert trained(plan_of("head", groups), groups) == {0: {"head"}}
    assert trained(plan_of("head@50 -> full", groups), groups) == {0: {"head"}, 50: everything}


@pytest.mark.parametrize(("text", "unties"), [("head", True), ("head@5 -> full", True), ("last", False)])
def test_a_strategy_says_whether_it_needs_a_head_of_its_own(text: str, unties: bool) -> None:
    assert parse_strategy(text).unties_head is unties


def test_bitfit_trains_every_bias_and_nothing_else() -> None:
    groups = groups_of(2)
    (stage,) = plan_of("bitfit", groups)
    names = [weight for group in groups for weight in group.weights]
    rules = {name: rule_for(stage, f"model.{name}") for name in names}
    assert {name for name, rule in rules.items() if rule is None or rule.trained} == {
        name for name in names if name.endswith("bias")
    }


@pytest.mark.parametrize("text", ["last", "head", "bitfit", "gradual"])
def test_what_belongs_to_the_objective_is_trained_with_any_strategy(text: str) -> None:
    for stage in plan_of(text, groups_of(2, has_head=True)):
        assert rule_for(stage, "objective.bridge.weight") is None


def factors(plan: ParameterPlan, groups: tuple[LayerGroup, ...]) -> dict[str, float]:
    """The factor of the learning rate of each part, where it is trained at last."""
    rules = {group.name: rule_for(plan[-1], f"model.{group.weights[-1]}") for group in groups}
    return {name: rule.learning_rate_factor for name, rule in rules.items() if rule is not None and rule.trained}


def test_with_layer_decay_each_block_has_a_part_of_the_rate_of_the_one_above_it() -> None:
    groups = groups_of(3, has_head=True)
    expected = {"head": 1, "final norm": 1, "block 2": 1, "block 1": 0.5, "block 0": 0.25, "embeddings": 0.125}
    assert factors(plan_of("full", groups, layer_decay=0.5), groups) == expected
    assert factors(plan_of("gradual:every=1", groups, layer_decay=0.5), groups) == expected
    lower = {name: expected[name] for name in ("block 1", "block 2", "final norm")}
    assert factors(plan_of("last:2", groups, layer_decay=0.5), groups) == lower
    biases = {name: expected[name] for name in ("block 0", "block 1", "block 2", "final norm")}
    assert factors(plan_of("bitfit", groups, layer_decay=0.5), groups) == biases
    assert plan_of("full", groups) == ()


def test_lora_is_read_and_its_matrices_alone_are_trained() -> None:
    for text, expected in (
        ("lora", LoraConfig(rank=8, alpha=16.0)),
        ("lora:r=4", LoraConfig(rank=4, alpha=8.0)),
        ("lora:r=8,alpha=16", LoraConfig(rank=8, alpha=16.0)),
        (
            "lora: r = 2, alpha=0.5, dropout=0.1, targets=query+value",
            LoraConfig(rank=2, alpha=0.5, dropout=0.1, targets=("query", "value")),
        ),
    ):
        assert parse_strategy(text).lora == expected
    added = LayerGroup("block 0", "block", ("blocks.0.",), ("blocks.0.up.weight", "blocks.0.up.lora_a"))
    groups = (*groups_of(0), added)
    (stage,) = plan_of("lora:r=2", groups)
    names = [weight for group in groups for weight in group.weights]
    rules = {name: rule_for(stage, f"model.{name}") for name in names}
    assert {name for name, rule in rules.items() if rule is None or rule.trained} == {"blocks.0.up.lora_a"}


@pytest.mark.parametrize(
    "text",
    [
        *("full", "last", "last:3", "head", "gradual:every=200", "gradual:every=epoch", "bitfit"),
        *("last@300 -> last:4@600 -> full", "lora:r=8,alpha=16", "lora:r=2,alpha=0.5,dropout=0.1,targets=query+value"),
    ],
)
def test_a_strategy_that_was_read_is_written_as_it_was_typed(text: str) -> None:
    strategy = parse_strategy(f"  {text} ")
    assert str(strategy) == text
    assert parse_strategy(str(strategy)) == strategy


def test_what_follows_from_what_was_typed_is_said() -> None:
    assert str(parse_strategy("gradual->last:1".replace("->", "@5 → "))) == "gradual:every=epoch@5 -> last"
    last = StrategyStage("last", 7, num_blocks=2)
    assert parse_strategy("last : 2 @ 7 -> full").stages == (last, StrategyStage("full"))


REFUSED = {
    "lst": r"unknown strategy 'lst'; expected one of bitfit, full, .*did you mean 'last'\?",
    "grdual:every=200": "did you mean 'gradual'",
    "": "a stage without a name",
    "last@300 -> ": "a stage without a name",
    "last:0": "the number of blocks is '0'.*a whole number from 1 on",
    "last:x": "the number of blocks is 'x'",
    "last:": "the number of blocks is ''",
    "last:99999999999999999999": "the number of blocks is",
    "full:3": "'full' alone: it takes no options",
    "gradual:every=abc": "every is 'abc'.*a whole number from 1 on or epoch",
    "gradual:every=0": "every is '0'",
    "gradual:evry=200": r"unknown key 'evry'.*expected one of every; did you mean 'every'\?",
    "gradual:200": "'200'.*expected every, = and a value",
    "gradual:": "expected every, = and a value",
    "last -> full": "'last' has no end.*a step before the arrow.*'last@300'",
    "last@300": "'last@300' ends, and nothing comes after it.*write 'last'",
    "last@0 -> full": "the step after @ .* is '0'",
    "last@x -> full": "the step after @ .* is 'x'",
    "last@600 -> last:2@300 -> full": "'last:2@300' ends before it begins, which is at step 600.*steps that rise",
    "last@300 -> last:2@300 -> full": "ends before it begins",
    "lora@300 -> full": "lora among other stages.*lora alone",
    "lora:r=0": "r is '0'",
    "lora:r=8,r=4": "r is said twice",
    "lora:rank=8": "unknown key 'rank'",
    "lora:alpha=-1": "alpha is '-1'",
    "lora:alpha=0": "alpha = 0.*above 0",
    "lora:dropout=1": "dropout = 1.*below 1",
    "lora:targets=query+": "targets = 'query\\+'.*names joined by",
    "lora:": "expected r or alpha or dropout or targets, = and a value",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_meant_is_answered_in_one_line(text: str) -> None:
    with pytest.raises(InputError, match=REFUSED[text]) as caught:
        parse_strategy(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("last:99", {}, r"last:99 of a model of 3 blocks; expected at most last:3"),
        ("last@5 -> last:4@7 -> full", {}, r"last:4 of a model of 3 blocks"),
        ("bitfit", {"has_bias": False}, "'bitfit'; expected a model that has a bias"),
        ("head", {}, "'head'; expected a model whose head is not its embedding"),
        ("lora", {}, "'lora'; expected a model that has matrices of low rank"),
    ],
)
def test_what_a_model_has_not_is_said_before_training(text: str, changes: dict[str, bool], message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_of(text, groups_of(3, **changes))


def test_a_family_that_says_nothing_of_its_layers_is_trained_as_a_whole() -> None:
    assert plan_of("full", ()) == ()
    with pytest.raises(InputError, match="a model that says what its layers are; use 'full'"):
        plan_of("last", ())
    with pytest.raises(InputError, match="without layer_decay"):
        plan_of("full", (), layer_decay=0.9)


@pytest.mark.parametrize("layer_decay", [0.0, -1.0, 1.1, float("nan")])
def test_a_layer_decay_outside_its_range_is_refused(layer_decay: float) -> None:
    with pytest.raises(InputError, match="layer_decay = .*above 0, at most 1"):
        plan_of("full", groups_of(2), layer_decay=layer_decay)


@pytest.mark.parametrize("name", ["nano", "gpt1-nano", "qwen3-nano"])
def test_every_strategy_holds_for_every_gpt(name: str, make_model: Make) -> None:
    for text in ("full", "last", "last:2", "gradual:every=3", "last@3 -> last:2@6 -> full", "head"):
        model = make_model(name=name)
        strategy = parse_strategy(text)
        if strategy.unties_head:
            model.untie_head()
        for layer_decay in (1.0, 0.5):
            plan = parameter_plan_of(strategy, model.layer_groups(), steps_per_epoch=4, layer_decay=layer_decay)
            for stage in plan:
                ModelWithLoss(model, CausalLMLoss()).mark(stage)  # refuses a pattern that fits nothing
    if name == "qwen3-nano":
        with pytest.raises(InputError, match="a model that has a bias"):
            plan_of("bitfit", make_model(name=name).layer_groups())
