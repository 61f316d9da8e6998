"""Cross-entropy of the next token."""

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.network import Network
from textwright.models.protocols import Backbone, Head
from textwright.training.model_with_loss import Loss, Objective, ObjectiveConfig, Term, by_task

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
        return {name: rows.loss_weight.sum() for name, _, rows in by_task(batch, KIND)}

    def forward(self, model: Network, batch: Batch) -> Loss:
        predicts = _check(model)
        hidden = predicts.hidden_states(predicts.embed(batch), batch.where_counted())
        terms = {}
        for name, places, rows in by_task(batch, KIND):
            of_rows = hidden if rows is batch else hidden[places]
            total = predicts.loss(of_rows, rows.target_ids, rows.loss_weight)
            terms[name] = Term(total, rows.loss_weight.float().sum())
        return Loss(terms)


def _check(model: Network) -> _Predicts:
    if not isinstance(model, _Predicts):
        raise InputError(f"a {model.config.family} model cannot learn the next token", expected="a backbone and a head")
    return model
