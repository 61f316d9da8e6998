"""A model and what it learns as one module: the only thing that is compiled, wrapped, optimised and saved."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textwright.core.config import Config
from textwright.core.errors import InputError, nearest
from textwright.data.batch import Batch
from textwright.models.network import Network
from textwright.training.frozen_states import FrozenStates
from textwright.training.parameter_plan import ParameterPlan, Stage, fits, rule_for


class Term(NamedTuple):
    """One part of a loss, as a sum: parts of a batch add up, and so do micro-batches and ranks."""

    total: Float[Tensor, ""]
    """Sum of weight x loss, in nats. Carries the gradient."""
    weight: Float[Tensor, ""]
    """Sum of the weights."""


class Loss(NamedTuple):
    """What an objective says of a batch, by the name of the term. Tuples, so that wrappers such as FSDP2 see tensors.

    A name is a kind (``next_token``), or a task and a kind (``code/next_token``). Terms of one kind have one
    denominator, the sum of their weights over the whole step; the loss of a step is the sum of its kinds' means.
    """

    terms: dict[str, Term]

    @property
    def total(self) -> Float[Tensor, ""]:
        """The sum of all terms, where there is one kind of them."""
        return torch.stack([term.total for term in self.terms.values()]).sum()


def mean_loss(terms: Mapping[str, Term], denominators: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """The loss of some rows as a part of the step's: each kind's sum over its denominator."""
    sums: dict[str, Tensor] = {}
    for name, term in terms.items():
        kind = kind_of(name)
        sums[kind] = sums[kind] + term.total if kind in sums else term.total
    parts = [total / denominators[kind].to(total.device) for kind, total in sums.items()]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


def add_by_kind(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The denominators: the weights of all terms of a kind together."""
    found: dict[str, Tensor] = {}
    for name, weight in weights.items():
        kind = kind_of(name)
        found[kind] = found[kind] + weight if kind in found else weight
    return found


def kind_of(name: str) -> str:
    """What a term measures, whatever task it is of."""
    return name.rpartition("/")[2]


def task_losses(totals: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """The loss of each task in nats, from the sums of its terms; empty where no term names a task."""
    found: dict[str, float] = {}
    for name in totals:
        task = name.rpartition("/")[0]
        if task and weights[name] > 0:
            found[task] = found.get(task, 0.0) + totals[name] / weights[name]
    return found


def kind_losses(totals: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, float]:
    """The mean of each kind of term, from the sums of all terms; empty where there is one kind only."""
    found = {kind: [0.0, 0.0] for kind in map(kind_of, totals)}
    for name, total in totals.items():
        found[kind_of(name)][0] += total
        found[kind_of(name)][1] += weights[name]
    several = {kind: total / weight for kind, (total, weight) in found.items() if weight > 0}
    return several if len(found) > 1 else {}


def by_task(batch: Batch, kind: str) -> list[tuple[str, list[int], Batch]]:
    """The rows of a batch task by task: the name of the term of a kind, their places, and the rows themselves.

    Without tasks it is one term, of the kind's name, with all rows.
    """
    if batch.task_ids is None:
        return [(kind, list(range(batch.num_rows)), batch)]
    of = batch.task_ids.tolist()
    places = {task: [row for row, its in enumerate(of) if its == task] for task in sorted(set(of))}
    return [(f"{batch.tasks[task]}/{kind}", rows, batch.select(rows)) for task, rows in places.items()]


class Objective(nn.Module, ABC):
    """What a model learns from a batch. May hold parameters of its own and frozen teachers."""

    @abstractmethod
    def weights(self, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The weights of the terms that ``forward`` will give for the batch, without running the model."""

    @abstractmethod
    def forward(self, model: Network, batch: Batch) -> Loss:
        """Run the model, and say what is to be less."""

    def teachers(self) -> Iterable[nn.Module]:
        """Modules that are used and never learned: frozen, in evaluation mode, and no part of what a run saves."""
        return ()


class ObjectiveConfig(Config, ABC):
    """The settings of an objective, as a run's config has them under ``objective``: its name and what else it knows."""

    name: str
    """Its name in the table of objectives."""

    @abstractmethod
    def build(self, model: Network) -> Objective:
        """The objective for a model, on any device.

        Raises:
            InputError: the model does not offer what the objective needs.
        """


class ModelWithLoss(nn.Module):
    """A model and its objective: batch in, loss out. Its teachers are frozen, and stay in evaluation mode.

    Attributes:
        stage: of a parameter plan, by which the weights are marked as trained or frozen.
        frozen_states: what enters the lowest trained block, where a run keeps that, until ``end_training``.
    """

    frozen_states: FrozenStates | None = None

    def __init__(self, model: Network, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.stage = Stage()
        self._trained_before: dict[str, bool] | None = None
        for teacher in objective.teachers():
            teacher.requires_grad_(False).eval()

    def forward(self, batch: Batch) -> Loss:
        """The objective's, all inside one call of one module.

        With FSDP2 the weights are whole only in here, a tied head's too.
        """
        if self.frozen_states is not None:
            batch = self.frozen_states.added_to(batch)
        return cast(Loss, self.objective(self.model, batch))

    def train(self, mode: bool = True) -> Self:
        """Put the model and its objective into training or evaluation mode, never a teacher."""
        super().train(mode)
        for teacher in self.objective.teachers():
            teacher.eval()
        return self

    def mark(self, stage: Stage) -> None:
        """Mark the weights as trained or frozen, as a stage of a parameter plan has it, until ``end_training``.

        What no rule fits is as it was before the first mark.

        Raises:
            InputError: a pattern that fits no weight, or a stage in which nothing is trained.
        """
        parameters, where = self.own_parameters(), f"the parameter plan from step {stage.from_step:,} on"
        self.stage = stage
        if self._trained_before is None:
            self._trained_before = {name: parameter.requires_grad for name, parameter in parameters.items()}
        for rule in stage.rules:
            if not any(fits(rule, name) for name in parameters):
                close = nearest(rule.pattern, list(parameters))
                fix = f"did you mean {close!r}?" if close else f"names are such as {next(iter(parameters), None)!r}"
                raise InputError(f"the pattern {rule.pattern!r} fits no weight", where=where, fix=fix)
        for name, parameter in parameters.items():
            rule_of = rule_for(stage, name)
            parameter.requires_grad_(self._trained_before[name] if rule_of is None else rule_of.trained)
            if not parameter.requires_grad:
                parameter.grad = None
        if not self.num_trained:
            raise InputError("no weight is trained", where=where, expected="at least one that is not frozen")

    def ever_trained(self, plan: ParameterPlan) -> dict[str, nn.Parameter]:
        """The weights, by name, that some stage of a plan trains."""
        stages = plan or (Stage(),)
        before = self._trained_before or {}

        def is_trained(name: str, parameter: nn.Parameter, stage: Stage) -> bool:
            rule = rule_for(stage, name)
            return before.get(name, parameter.requires_grad) if rule is None else rule.trained

        named = self.own_parameters().items()
        return {name: value for name, value in named if any(is_trained(name, value, stage) for stage in stages)}

    def mark_largest(self, plan: ParameterPlan) -> None:
        """Mark the weights as that stage has it in which most is trained. Raises InputError as ``mark``, of any."""
        sizes: list[tuple[int, Stage]] = []
        for stage in plan or (Stage(),):
            self.mark(stage)
            sizes.append((self.num_trained, stage))
        self.mark(max(sizes, key=lambda found: found[0])[1])

    def end_training(self) -> None:
        """Leave no trace of a run's settings: what is frozen, kept, compiled or recomputed."""
        if self.frozen_states is not None:
            self.frozen_states.close()
            self.frozen_states = None
        for name, was_trained in (self._trained_before or {}).items():
            self.get_parameter(name).requires_grad_(was_trained)
        self._trained_before, self.stage = None, Stage()
        self.model.end_training()

    @property
    def num_trained(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    @property
    def num_parameters(self) -> int:
        """How many numbers the model and its objective have, teachers aside."""
        return sum(parameter.numel() for parameter in self.own_parameters().values())

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """The parameters, by name, that are not a teacher's."""
        hidden = self._names_of_teachers()
        return {name: value for name, value in self.named_parameters() if not name.startswith(hidden)}

    def saved_state(self) -> dict[str, Tensor]:
        """What a run saves: the model's tensors and the objective's own, never a teacher's."""
        hidden = self._names_of_teachers()
        return {name: value for name, value in self.state_dict().items() if not name.startswith(hidden)}

    def load_saved_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``saved_state`` gave.

        Raises:
            RuntimeError: it is of another model.
        """
        hidden = self._names_of_teachers()
        teachers = {name: value for name, value in self.state_dict().items() if name.startswith(hidden)}
        self.load_state_dict(dict(tensors) | teachers)

    def _names_of_teachers(self) -> tuple[str, ...]:
        """What the names of teachers' tensors begin with."""
        taught = {id(module) for teacher in self.objective.teachers() for module in teacher.modules()}
        return tuple(f"{name}." for name, module in self.named_modules() if id(module) in taught)
