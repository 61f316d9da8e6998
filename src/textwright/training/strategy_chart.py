"""What trains when, as a picture in plain text: the parts of a network from the top down, steps from left to right.

::

    final norm        ████████████████████████████████
    block 1           ████████████████████████████████
    block 0           ··········██████████████████████
    embeddings, head  ··········██████████████████████
    steps             0         300              1,000

                      █ trained  · frozen
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from textwright.models.layer_groups import LayerGroup
from textwright.training.parameter_plan import ParameterPlan, Rule, Stage, rules_for
from textwright.training.strategies import MODEL

WIDTH = 80
"""Columns of the whole picture, at most."""
BAR_WIDTH = 56
"""Columns of the steps, at most."""
MAX_BLOCK_ROWS = 12
TRAINED, IN_PART, FROZEN = "█", "▒", "·"
BIASES, LOW_RANK, SOME_WEIGHTS, SOME_BLOCKS = "biases only", "LoRA only", "some of its weights", "some of these blocks"
"""What is trained of a row of which not everything is."""
AXIS = "steps"


@dataclass(frozen=True)
class _Row:
    """A part of the network, or several blocks next to each other."""

    name: str
    blocks: tuple[int, int] | None
    """The numbers of the lowest and the highest block, where it is of blocks."""
    marks: tuple[str, ...]
    """For each stage, what is drawn."""
    notes: frozenset[str]
    """What is trained of it where that is not everything."""
    rates: frozenset[float]
    """Fractions of the run's learning rate at which it is trained; none where it never is."""

    @property
    def label(self) -> str:
        if self.blocks is None or self.blocks[0] == self.blocks[1]:
            return self.name
        return f"blocks {self.blocks[0]} to {self.blocks[1]}"

    @property
    def rate(self) -> str:
        shown = dict.fromkeys(f"{rate:.2g}" for rate in (min(self.rates), max(self.rates))) if self.rates else {}
        return f"  x {' to '.join(shown)}" if shown else ""


def strategy_chart(plan: ParameterPlan, groups: Sequence[LayerGroup], *, steps: int) -> str:
    """Draw a parameter plan.

    Args:
        plan: of the network; see ``strategies.parameter_plan_of``.
        groups: the network's ``layer_groups``, at least one.
        steps: of the run, from 1 on. What would begin later is not drawn, and the last line says so.

    Returns:
        Lines of at most 80 columns: a row for each part, or for several blocks where there are many; below them the
        first step of each stage, where there is room, and what the characters mean.
    """
    stages = [stage for stage in plan or (Stage(),) if stage.from_step < steps]
    numbers = {group: number for number, group in enumerate(group for group in groups if group.kind == "block")}
    names = [MODEL + weight for group in groups for weight in group.weights]
    rules = [rules_for(stage, names) for stage in stages]
    rows = _folded([_row(group, numbers.get(group), rules) for group in groups])
    shows_rates = any(rate != 1 for row in rows for rate in row.rates)
    rates = [row.rate if shows_rates else "" for row in rows]
    margin = max(len(row.label) for row in rows) + 2
    room = min(BAR_WIDTH, WIDTH - margin - max(map(len, rates)))
    borders = [*(stage.from_step for stage in stages), steps]
    columns = _columns(borders, room)
    lines = []
    for row, rate in zip(reversed(rows), reversed(rates), strict=True):
        spans = zip(row.marks, pairwise(columns), strict=True)
        bar = "".join(mark * (stop - start) for mark, (start, stop) in spans)
        lines.append(f"{row.label:<{margin}}{bar}{rate}")
    lines += [f"{AXIS:<{margin}}{_axis(borders, columns)}", ""]
    lines += [" " * margin + line for line in _legend(rows, shows_rates, WIDTH - margin)]
    later = max(0, len(plan) - len(stages))
    if later:
        begin = "stage begins" if later == 1 else "stages begin"
        lines.append(f"{'':<{margin}}{later} more {begin} after the last step")
    return "\n".join(lines)


def _row(group: LayerGroup, number: int | None, rules_of_stages: Sequence[Mapping[str, Rule | None]]) -> _Row:
    marks, notes, rates = list[str](), set[str](), set[float]()
    for of_stage in rules_of_stages:
        rules = {weight: of_stage[MODEL + weight] for weight in group.weights}
        trained = {weight: rule for weight, rule in rules.items() if rule is None or rule.trained}
        rates |= {1.0 if rule is None else rule.learning_rate_factor for rule in trained.values()}
        marks.append(TRAINED if len(trained) == len(rules) else IN_PART if trained else FROZEN)
        if marks[-1] == IN_PART:
            notes.add(_note(list(trained)))
    blocks = None if number is None else (number, number)
    return _Row(group.name, blocks, tuple(marks), frozenset(notes), frozenset(rates))


def _note(trained: Sequence[str]) -> str:
    if all(weight.endswith("bias") for weight in trained):
        return BIASES
    return LOW_RANK if all("lora_" in weight for weight in trained) else SOME_WEIGHTS


def _folded(rows: list[_Row]) -> list[_Row]:
    """The rows, where there are many blocks of those that are alike, or of so many next to each other as it takes."""
    blocks = [row for row in rows if row.blocks is not None]
    if len(blocks) <= MAX_BLOCK_ROWS:
        return rows
    alike: list[list[_Row]] = []
    for block in blocks:
        if alike and replace(block, name="", blocks=None) == replace(alike[-1][0], name="", blocks=None):
            alike[-1].append(block)
        else:
            alike.append([block])
    if len(alike) > MAX_BLOCK_ROWS:
        size = -(-len(blocks) // MAX_BLOCK_ROWS)
        # Counted from the top, where strategies begin.
        from_the_top = [blocks[max(0, stop - size) : stop] for stop in range(len(blocks), 0, -size)]
        alike = from_the_top[::-1]
    first = rows.index(blocks[0])
    return [*rows[:first], *map(_merged, alike), *rows[first + len(blocks) :]]


def _merged(rows: Sequence[_Row]) -> _Row:
    """One row for several blocks."""
    of_stages = [set(marks) for marks in zip(*(row.marks for row in rows), strict=True)]
    notes = frozenset[str]().union(*(row.notes for row in rows))
    return _Row(
        rows[0].name,
        (rows[0].blocks[0], rows[-1].blocks[1]) if rows[0].blocks and rows[-1].blocks else None,
        tuple(next(iter(marks)) if len(marks) == 1 else IN_PART for marks in of_stages),
        notes | {SOME_BLOCKS} if any(len(marks) > 1 for marks in of_stages) else notes,
        frozenset[float]().union(*(row.rates for row in rows)),
    )


def _columns(borders: Sequence[int], room: int) -> list[int]:
    """The column of each border: in proportion to steps, with room for every stage's number where there is enough."""
    least = [len(f"{step:,}") + 2 for step in borders[:-1]]
    least[-1] += len(f"{borders[-1]:,}")
    if sum(least) > room:
        least = [0] * len(least)
    rest, used, columns = room - sum(least), 0, [0]
    for stop, columns_at_least in zip(borders[1:], least, strict=True):
        used += columns_at_least
        columns.append(used + round(rest * stop / borders[-1]))
    return columns


def _axis(borders: Sequence[int], columns: Sequence[int]) -> str:
    """The numbers below the borders, the last one ending at the last column; what has no room is left out."""
    end = f"{borders[-1]:,}"
    line = ""
    for step, column in zip(borders[:-1], columns[:-1], strict=True):
        label = f"{step:,}"
        if (column >= len(line) + 2 or not line) and column + len(label) + len(end) < columns[-1]:
            line = line.ljust(column) + label
    return line.ljust(columns[-1] - len(end)) + end


def _legend(rows: Sequence[_Row], shows_rates: bool, width: int) -> list[str]:
    """What the characters mean that are there, in lines of at most so many columns."""
    drawn = {mark for row in rows for mark in row.marks}
    in_part = " or ".join(sorted(frozenset[str]().union(*(row.notes for row in rows))))
    meanings = {TRAINED: "trained", IN_PART: in_part, FROZEN: "frozen"}
    entries = [f"{mark} {meaning}" for mark, meaning in meanings.items() if mark in drawn]
    lines = [""]
    for entry in [*entries, *(["x times the learning rate"] if shows_rates else [])]:
        joined = f"{lines[-1]}  {entry}" if lines[-1] else entry
        if len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(entry)
    return lines
