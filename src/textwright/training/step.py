"""One training step as one module: the only thing that is compiled, wrapped, optimised and saved."""

from abc import ABC, abstractmethod
from typing import NamedTuple, cast

from jaxtyping import Float
from torch import Tensor, nn

from textwright.batches.batch import Batch
from textwright.models.language_model import LanguageModel


class Loss(NamedTuple):
    """What an objective says of a batch. A tuple, so that wrappers such as FSDP2 see the tensors in it.

    The loss of an optimizer step is the sum of ``total`` over the sum of ``weight`` of all its micro-batches and ranks.
    """

    total: Float[Tensor, ""]
    """Sum of weight x loss, in nats. Carries the gradient."""
    weight: Float[Tensor, ""]
    """Sum of the weights."""
    parts: dict[str, Tensor]
    """Named sums that make up ``total``, where an objective has several; they carry no gradient."""


class Objective(nn.Module, ABC):
    """What a model learns from a batch. May hold parameters of its own and frozen teachers."""

    @abstractmethod
    def weight(self, batch: Batch) -> Float[Tensor, ""]:
        """The sum of weights that ``forward`` will report for the batch, without running the model."""

    def compile_for_training(self) -> None:
        """Compile what the objective spends its time in, with torch.compile; left out where that is of no use."""

    @abstractmethod
    def forward(self, model: LanguageModel, hidden: Float[Tensor, "rows time width"], batch: Batch) -> Loss:
        """The loss, from the hidden states of the last layer."""


class TrainStep(nn.Module):
    """A model and its objective: batch in, loss out."""

    def __init__(self, model: LanguageModel, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: Batch) -> Loss:
        """Embed, run, and let the objective read the hidden states, all inside one call of one module.

        With FSDP2 the weights are whole only in here, a tied head's too.
        """
        embedded = self.model.embed(batch)
        hidden = self.model.run(embedded, batch)
        return cast(Loss, self.objective(self.model, hidden, batch))
