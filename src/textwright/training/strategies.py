"""What is trained when, as a line of text: the language of strategies, and the plan each means. Torch-free.

::

    full                            everything
    last    last:3                  the last block, or the last three, and the final norm
    head                            the head alone, parted from the embedding
    gradual:every=200               as last, and a block more each 200 steps (or epoch); at the end everything
    bitfit                          biases alone
    lora:r=8,alpha=16               matrices of low rank beside the weights
    last@300 -> last:4@600 -> full  one after the other, each until a step
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from textwright.core.errors import InputError, nearest, unknown_name
from textwright.models.layer_groups import LayerGroup
from textwright.models.lora_config import ALL, LoraConfig
from textwright.training.parameter_plan import ParameterPlan, Rule, Stage

STRATEGIES = ("full", "last", "head", "gradual", "bitfit", "lora")
ARROW = re.compile(r"->|→")
LORA_RANK = 8
"""Of LoRA, where it is not said; alpha is twice the rank then, which leaves the correction its scale at any rank."""
MODEL = "model."
"""What stands before the names of a network's weights where it has its loss around it."""
FROZEN = Rule(pattern=f"{MODEL}*", trained=False)


@dataclass(frozen=True)
class StrategyStage:
    """What is trained until a step."""

    name: str
    """Of ``STRATEGIES``."""
    until: int | None = None
    """The step it lasts until, counted from the beginning of the run; None: until its end."""
    num_blocks: int = 1
    """Of ``last``: how many blocks."""
    every: int | None = None
    """Of ``gradual``: steps until the next block joins; None: an epoch."""
    lora: LoraConfig | None = None
    """Of ``lora``."""

    def __str__(self) -> str:
        """As it is typed."""
        text = self.name
        if self.name == "last" and self.num_blocks > 1:
            text += f":{self.num_blocks}"
        if self.name == "gradual":
            text += f":every={self.every or 'epoch'}"
        if self.lora is not None:
            text += f":r={self.lora.rank},alpha={self.lora.alpha:g}"
            text += f",dropout={self.lora.dropout:g}" if self.lora.dropout else ""
            text += f",targets={'+'.join(self.lora.targets)}" if self.lora.targets != (ALL,) else ""
        return text if self.until is None else f"{text}@{self.until}"


@dataclass(frozen=True)
class Strategy:
    """What is trained when."""

    stages: tuple[StrategyStage, ...]
    """In the order of their steps; the last one has no end."""

    @property
    def unties_head(self) -> bool:
        """Whether the network needs a head of its own first: ``LanguageModel.untie_head``."""
        return any(stage.name == "head" for stage in self.stages)

    @property
    def lora(self) -> LoraConfig | None:
        """What LoRA the network needs first; None where it needs none."""
        return self.stages[0].lora

    def __str__(self) -> str:
        """As it is typed, with everything said that follows from what was typed."""
        return " -> ".join(map(str, self.stages))


def parse_strategy(text: str) -> Strategy:
    """Read a strategy: a name, perhaps with options, or several joined by arrows, each but the last with ``@STEP``.

    Raises:
        InputError: an unknown name (with the nearest), an option that does not fit, stages that do not follow each
            other, or LoRA among others.
    """
    where = f"the strategy {text.strip()[:80]!r}"
    stages = tuple(_parse_stage(part.strip(), where) for part in ARROW.split(text))
    for stage in stages[:-1]:
        if stage.until is None:
            given, fix = f"the stage {str(stage)!r} has no end", f"write '{stage}@300' to end it at step 300"
            raise InputError(given, where=where, expected="a step before the arrow", fix=fix)
    if stages[-1].until is not None:
        without = str(stages[-1]).rpartition("@")[0]
        raise InputError(
            f"{str(stages[-1])!r} ends, and nothing comes after it",
            where=where,
            expected="a last stage without a step",
            fix=f"write {without!r}, or add '-> full'",
        )
    for earlier, later in pairwise(stages):
        if earlier.until is not None and later.until is not None and later.until <= earlier.until:
            given = f"{str(later)!r} ends before it begins, which is at step {earlier.until}"
            raise InputError(given, where=where, expected="steps that rise")
    if len(stages) > 1 and any(stage.lora is not None for stage in stages):
        raise InputError("lora among other stages", where=where, expected="lora alone", fix="leave the others out")
    return Strategy(stages)


def _parse_stage(text: str, where: str) -> StrategyStage:
    if not text:
        raise InputError("a stage without a name", where=where, expected=f"one of {', '.join(STRATEGIES)}")
    said, at, step = text.partition("@")
    name, colon, options = (part.strip() for part in said.partition(":"))
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    until = _whole_number(step, f"the step after @ in {text!r}", where) if at else None
    if name == "last" and colon:
        return StrategyStage(name, until, num_blocks=_whole_number(options, f"{text!r}: the number of blocks", where))
    if name == "gradual":
        every = _options(options, ("every",), where).get("every", "epoch") if colon else "epoch"
        steps = None if every == "epoch" else _whole_number(every, "every", where, "or epoch")
        return StrategyStage(name, until, every=steps)
    if name == "lora":
        values = _options(options, ("r", "alpha", "dropout", "targets"), where) if colon else {}
        return StrategyStage(name, until, lora=_lora_settings(values, where))
    if colon:
        raise InputError(f"{said.strip()!r}", where=where, expected=f"{name!r} alone: it takes no options")
    return StrategyStage(name, until)


def _lora_settings(options: Mapping[str, str], where: str) -> LoraConfig:
    rank = _whole_number(options.get("r", str(LORA_RANK)), "r", where)
    alpha = _number(options.get("alpha", str(2 * rank)), "alpha", where)
    dropout = _number(options.get("dropout", "0"), "dropout", where)
    if not alpha > 0:
        raise InputError(f"alpha = {alpha:g}", where=where, expected="a number above 0")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout = {dropout:g}", where=where, expected="a number from 0 on, below 1")
    targets = tuple(target.strip() for target in options.get("targets", ALL).split("+"))
    if not all(targets):
        raise InputError(f"targets = {options['targets']!r}", where=where, expected="names joined by +")
    return LoraConfig(rank=rank, alpha=alpha, dropout=dropout, targets=targets)


def _options(text: str, known: Sequence[str], where: str) -> dict[str, str]:
    """``KEY=VALUE`` pairs, joined by commas."""
    found: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise InputError(f"{part.strip()!r}", where=where, expected=f"{' or '.join(known)}, = and a value")
        if key not in known:
            close = nearest(key, known)
            fix = f"did you mean {close!r}?" if close else ""
            raise InputError(f"unknown key {key!r}", where=where, expected=f"one of {', '.join(known)}", fix=fix)
        if key in found:
            raise InputError(f"{key} is said twice", where=where, expected="one value")
        found[key] = value
    return found


def _whole_number(text: str, what: str, where: str, alternative: str = "") -> int:
    if not re.fullmatch(r"\s*0*[1-9][0-9]{0,8}\s*", text):
        expected = " ".join(filter(None, ("a whole number from 1 on", alternative)))
        raise InputError(f"{what} is {text.strip()[:40]!r}", where=where, expected=expected)
    return int(text)


def _number(text: str, what: str, where: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,9})?", text):
        raise InputError(f"{what} is {text[:40]!r}", where=where, expected="a number such as 16 or 0.1")
    return float(text)


def num_frozen_blocks(strategy: Strategy, num_blocks: int) -> int:
    """How many blocks, from the lowest up, are certain to be frozen in every stage, and the embeddings with them.

    Args:
        strategy: what is trained when.
        num_blocks: of the model.
    """

    def frozen_in(stage: StrategyStage) -> int:
        if stage.name == "head":
            return num_blocks
        return num_blocks - stage.num_blocks if stage.name == "last" else 0

    return max(0, min(map(frozen_in, strategy.stages)))


def parameter_plan_of(
    strategy: Strategy, groups: Sequence[LayerGroup], *, steps_per_epoch: float, layer_decay: float = 1.0
) -> ParameterPlan:
    """The parameter plan that a strategy means for a network; what belongs to the objective is always trained.

    Args:
        strategy: of which LoRA, or a head of its own, is in the network already.
        groups: the network's ``layer_groups``.
        steps_per_epoch: optimizer steps in which all text is read once, for what changes with epochs; above 0.
        layer_decay: 0 to 1. The learning rate of each block is this times that of the one above it; the last block,
            the final norm and a head of its own have the run's, the embeddings that of one below the first block.

    Raises:
        InputError: the network has not so many blocks, no bias, no head of its own or no LoRA; or a layer_decay outside
            its range.

    Source: of ``gradual`` and of the rates: Howard and Ruder 2018 (arXiv:1801.06146), sections 3.2 and 3.3, whose last
    layer has the rate itself; one factor for all layers of a transformer: Clark et al. 2020 (arXiv:2003.10555); of
    ``bitfit``: Ben Zaken et al. 2022 (arXiv:2106.10199).
    """
    if not 0 < layer_decay <= 1:
        raise InputError(f"layer_decay = {layer_decay:g}", expected="a number above 0, at most 1")
    if not strategy.stages:
        return ()
    if not groups and (layer_decay < 1 or any(stage.name != "full" for stage in strategy.stages)):
        given, expected = f"the strategy {str(strategy)!r}", "a model that says what its layers are"
        raise InputError(given, expected=expected, fix="use 'full', without layer_decay")
    parts, plan, start = _Parts(groups, layer_decay), list[Stage](), 0
    for stage in strategy.stages:
        for from_step, rules in _rules_of(stage, parts, start, steps_per_epoch):
            if stage.until is not None and from_step >= stage.until:
                break
            if not plan or plan[-1].rules != rules:
                plan.append(Stage(from_step=from_step, rules=rules))
        start = stage.until or start
    return tuple(plan) if any(stage.rules for stage in plan) else ()


def _rules_of(
    stage: StrategyStage, parts: "_Parts", start: int, steps_per_epoch: float
) -> Iterator[tuple[int, tuple[Rule, ...]]]:
    """The rules from one step on, and then from others: in ``gradual``, which changes."""
    if stage.name == "last":
        yield start, parts.rules(parts.last(stage.num_blocks))
    elif stage.name == "head":
        yield start, parts.rules(parts.head())
    elif stage.name == "bitfit":
        yield start, parts.rules_within("*bias", "bitfit", "a bias")
    elif stage.name == "lora":
        yield start, parts.rules_within("*lora_*", "lora", "matrices of low rank")
    elif stage.name == "gradual":
        every = stage.every or steps_per_epoch
        for number in range(parts.num_blocks):
            yield start + max(number, math.ceil(number * every)), parts.rules(parts.last(number + 1))
        yield start + max(parts.num_blocks, math.ceil(parts.num_blocks * every)), parts.rules(parts.groups)
    else:
        yield start, parts.rules(parts.groups)


class _Parts:
    """A network's parts, and rules about them."""

    def __init__(self, groups: Sequence[LayerGroup], layer_decay: float) -> None:
        self.groups = groups
        self._blocks = [group for group in groups if group.kind == "block"]
        self.num_blocks = len(self._blocks)
        self._factors = dict.fromkeys(groups, 1.0)
        for distance, block in enumerate(reversed(self._blocks)):
            self._factors[block] = layer_decay**distance
        below = layer_decay**self.num_blocks
        self._factors |= {group: below for group in groups if group.kind == "embedding"}

    def last(self, num_blocks: int) -> list[LayerGroup]:
        """The last blocks and the final norm."""
        if num_blocks > self.num_blocks:
            have = "1 block" if self.num_blocks == 1 else f"{self.num_blocks} blocks"
            raise InputError(f"last:{num_blocks} of a model of {have}", expected=f"at most last:{self.num_blocks}")
        return [*self._blocks[-num_blocks:], *(group for group in self.groups if group.kind == "final_norm")]

    def head(self) -> list[LayerGroup]:
        """The head, where it is a part of its own."""
        found = [group for group in self.groups if group.kind == "head"]
        if not found:
            expected = "a model whose head is not its embedding"
            raise InputError("the strategy 'head'", expected=expected, fix="untie the head first")
        return found

    def rules(self, trained: Sequence[LayerGroup]) -> tuple[Rule, ...]:
        """Train these, all of each, and nothing else of the model; the top first."""
        is_everything = len(trained) == len(self.groups)
        if is_everything and all(factor == 1 for factor in self._factors.values()):
            return ()
        found = [self._rule(group, prefix, "*") for group in reversed(trained) for prefix in group.prefixes]
        return (*found, *(() if is_everything else (FROZEN,)))

    def rules_within(self, ending: str, name: str, missing: str) -> tuple[Rule, ...]:
        """Train only the weights whose names, after a part's prefix, fit ``ending``."""
        found = [
            self._rule(group, prefix, ending)
            for group in reversed(self.groups)
            for prefix in group.prefixes
            if any(fnmatchcase(weight, prefix + ending) for weight in group.weights)
        ]
        if not found:
            fix = "choose another strategy"
            raise InputError(f"the strategy {name!r}", expected=f"a model that has {missing}", fix=fix)
        return (*found, FROZEN)

    def _rule(self, group: LayerGroup, prefix: str, ending: str) -> Rule:
        return Rule(pattern=f"{MODEL}{prefix}{ending}", learning_rate_factor=self._factors[group])
