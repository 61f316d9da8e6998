"""Which weights are trained, by which optimizer and how fast; and from which step on that changes. Torch-free."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Literal

from pydantic import Field

from textwright.core.config import Config


class Rule(Config):
    """What holds for the weights whose names fit a pattern."""

    pattern: str
    """Of names, where * stands for anything: ``model.blocks.11.*``, ``*.lora_a``, ``objective.*``."""
    trained: bool = True
    """Trained, or frozen: then they keep every bit, and cost no gradient and no optimizer memory."""
    optimizer: Literal["muon", "adamw"] | None = None
    """The run's own when not given: with Muon it moves the matrices that layers declare as hidden, and AdamW the rest.
    muon: only for such matrices."""
    learning_rate_factor: float = Field(default=1.0, ge=0)
    """The run's learning rate times this."""
    weight_decay: float | None = Field(default=None, ge=0)
    """Instead of the run's, for vectors too; when not given, matrices decay as the run has it and vectors do not."""


class Stage(Config):
    """The rules from one step on."""

    from_step: int = Field(default=0, ge=0)
    """The first step of the stage, from 0."""
    rules: tuple[Rule, ...] = ()
    """The first one whose pattern fits a weight holds for it. A weight that none fits is trained if it was before."""


ParameterPlan = tuple[Stage, ...]
"""Stages in the order of their steps, the first from step 0 on; none: everything that can be trained is."""


def check_plan(plan: ParameterPlan) -> None:
    """See that stages are in order.

    Raises:
        ValueError: they are not.
    """
    starts = [stage.from_step for stage in plan]
    if starts and (starts[0] != 0 or any(first >= second for first, second in pairwise(starts))):
        raise ValueError(f"stages from step 0 on, in order, not from {', '.join(map(str, starts))}")


def stage_at(plan: ParameterPlan, step: int) -> Stage:
    """The stage of the optimizer step ``step`` (from 0)."""
    return next((stage for stage in reversed(plan) if stage.from_step <= step), Stage())


def rule_for(stage: Stage, name: str) -> Rule | None:
    """The rule that holds for a weight; None where no pattern fits."""
    return next((rule for rule in stage.rules if fits(rule, name)), None)


def rules_for(stage: Stage, names: Iterable[str]) -> dict[str, Rule | None]:
    """``rule_for`` of many weights; quicker where there are many rules."""
    found: dict[str, Rule | None] = dict.fromkeys(names)
    remaining = list(found)
    for rule in stage.rules:
        fitting = {name for name in remaining if fnmatchcase(name, rule.pattern)}
        found |= dict.fromkeys(fitting, rule)
        remaining = [name for name in remaining if name not in fitting]
    return found


def fits(rule: Rule, name: str) -> bool:
    """Whether a rule's pattern fits a name, upper and lower case told apart."""
    return fnmatchcase(name, rule.pattern)
