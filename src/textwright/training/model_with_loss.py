"""A model and what it learns as one module: the only thing that is compiled, wrapped, optimised and saved."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textwright.data.batch import Batch
from textwright.models.network import Network


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


class Objective(nn.Module, ABC):
    """What a model learns from a batch. May hold parameters of its own and frozen teachers."""

    @abstractmethod
    def weights(self, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The weights of the terms that ``forward`` will give for the batch, without running the model."""

    @abstractmethod
    def forward(self, model: Network, batch: Batch) -> Loss:
        """Run the model, and say what is to be less."""

    def teachers(self) -> Iterable[nn.Module]:
        """Modules that are used and never learned; they are no part of what a run saves."""
        return ()


class ModelWithLoss(nn.Module):
    """A model and its objective: batch in, loss out."""

    def __init__(self, model: Network, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> Loss:
        """The objective's, all inside one call of one module.

        With FSDP2 the weights are whole only in here, a tied head's too.
        """
        return cast(Loss, self.objective(self.model, batch))

    def saved_state(self) -> dict[str, Tensor]:
        """What a run saves: the model's tensors and the objective's own, never a teacher's."""
        taught = {id(module) for teacher in self.objective.teachers() for module in teacher.modules()}
        hidden = tuple(f"{name}." for name, module in self.named_modules() if id(module) in taught)
        return {name: value for name, value in self.state_dict().items() if not name.startswith(hidden)}

    def load_saved_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``saved_state`` gave.

        Raises:
            RuntimeError: it is of another model.
        """
        missing = self.state_dict().keys() - self.saved_state().keys()
        teachers = {name: value for name, value in self.state_dict().items() if name in missing}
        self.load_state_dict(dict(tensors) | teachers)
