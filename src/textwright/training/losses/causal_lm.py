"""Cross-entropy of the next token."""

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.network import Network
from textwright.models.protocols import Backbone, Head
from textwright.training.model_with_loss import Loss, Objective, ObjectiveConfig, Term

KIND = "next_token"


@runtime_checkable
class _Predicts(Backbone, Head, Protocol):
    """Both."""


class CausalLMConfig(ObjectiveConfig):
    """Cross-entropy of the next token; it has no settings."""

    name: Literal["next_token"] = "next_token"

    def build(self, model: Network) -> "CausalLMLoss":
        """Raises InputError: the model has no backbone or no head."""
        _check(model)
        return CausalLMLoss()


class CausalLMLoss(Objective):
    """The weighted sum of -log p(target) over the positions whose weight is not zero; for each task of a mixture."""

    def weights(self, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        return {name: rows.loss_weight.sum() for name, rows in _tasks(batch)}

    def forward(self, model: Network, batch: Batch) -> Loss:
        predicts = _check(model)
        hidden = predicts.hidden_states(predicts.embed(batch), batch)
        terms = {}
        for name, rows in _tasks(batch):
            of_rows = hidden if rows is batch else hidden[_rows_of(batch, name)]
            total = predicts.loss(of_rows, rows.target_ids, rows.loss_weight)
            terms[name] = Term(total, rows.loss_weight.float().sum())
        return Loss(terms)


def _tasks(batch: Batch) -> list[tuple[str, Batch]]:
    """The names of the terms, with the rows of each."""
    if batch.task_ids is None:
        return [(KIND, batch)]
    present = sorted(set(batch.task_ids.tolist()))
    names = [f"{batch.tasks[task]}/{KIND}" for task in present]
    return [(name, batch.select(_rows_of(batch, name).tolist())) for name in names]


def _rows_of(batch: Batch, name: str) -> Tensor:
    assert batch.task_ids is not None
    return torch.nonzero(batch.task_ids == batch.tasks.index(name.rpartition("/")[0])).squeeze(1)


def _check(model: Network) -> _Predicts:
    if not isinstance(model, _Predicts):
        raise InputError(f"a {model.config.family} model cannot learn the next token", expected="a backbone and a head")
    return model
