"""What a training step computes with: its weights themselves, or copies of them in another type.

::

    float32 weight ──copied once a step──> bfloat16 copy ──> products ──> loss
          ^                                                               |
    optimizer <── float32 gradient of the weight <──────── backward ──────┘

The gradient arrives at the weight itself, whatever is computed with: micro-batches add up in float32, and so do ranks;
hooks on the weights, such as DDP's, see every one.
"""

from abc import ABC, abstractmethod
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from textwright.data.batch import Batch
from textwright.training.model_with_loss import Loss, ModelWithLoss


class ComputeWeights(ABC):
    """A model with its loss, and what its loss is computed with.

    Attributes:
        compute_copies: what the step is computed with instead of a trained weight; the optimizer moves them too.

    Args:
        model_with_loss: whose parameters are marked as trained or frozen; when that changes, make this anew.
        wrapped: what is called instead, where something was put around it, such as DDP.
    """

    def __init__(self, model_with_loss: ModelWithLoss, wrapped: nn.Module | None = None) -> None:
        self.model_with_loss = model_with_loss
        self.compute_copies: dict[Tensor, Tensor] = {}
        self._called = model_with_loss if wrapped is None else wrapped

    @abstractmethod
    def loss(self, batch: Batch) -> Loss:
        """The loss of a micro-batch."""

    @abstractmethod
    def copy_from_master(self) -> None:
        """After the weights were set: see that the next loss is computed with the new ones."""

    def gradients(self) -> dict[Tensor, Tensor]:
        """What the backward passes left, by weight, in the weight's type."""
        return {weight: weight.grad for weight in self.model_with_loss.parameters() if weight.grad is not None}

    def zero_grad(self) -> None:
        """Forget the gradients and their memory."""
        self.model_with_loss.zero_grad(set_to_none=True)


@final
class PlainWeights(ComputeWeights):
    """The weights themselves."""

    def loss(self, batch: Batch) -> Loss:
        """Computed in the weights' type."""
        return cast(Loss, self._called(batch))

    def copy_from_master(self) -> None:
        """There is no copy."""


@final
class BFloat16Copies(ComputeWeights):
    """bfloat16 copies of matrices, made once a step and not once a micro-batch; of frozen ones, once a stage.

    The float32 originals are what the optimizer moves and what is saved. Embeddings, norms and biases are used as they
    are, and so is a trained head, whose gradient is summed over chunks.
    """

    def __init__(self, model_with_loss: ModelWithLoss, wrapped: nn.Module | None = None) -> None:
        super().__init__(model_with_loss, wrapped)
        prefix = "" if wrapped is None else _prefix_within(wrapped, model_with_loss)
        self._trained: dict[str, Tensor] = {}
        self._frozen: dict[str, tuple[Tensor, Tensor]] = {}
        for name, weight in _copied(model_with_loss).items():
            copy = weight.detach().bfloat16()
            if weight.requires_grad:
                self._trained[prefix + name], self.compute_copies[weight] = weight, copy
            else:
                self._frozen[prefix + name] = weight, copy
        model_with_loss.model.cast_frozen(torch.bfloat16)

    def loss(self, batch: Batch) -> Loss:
        """Products in bfloat16, all else as autocast has it."""
        copies = {name: copy for name, (_, copy) in self._frozen.items()}
        for name, weight in self._trained.items():
            copies[name] = _InsteadOf.apply(weight, self.compute_copies[weight])  # type: ignore[no-untyped-call]
        with torch.autocast(batch.input_ids.device.type, dtype=torch.bfloat16):
            return cast(Loss, functional_call(self._called, copies, (batch,)))

    @torch.no_grad()
    def copy_from_master(self) -> None:
        """Cast all of them anew."""
        pairs = [*self.compute_copies.items(), *self._frozen.values()]
        if pairs:
            torch._foreach_copy_([copy for _, copy in pairs], [weight for weight, _ in pairs])
        self.model_with_loss.model.cast_frozen(torch.bfloat16)


def compute_weights(
    model_with_loss: ModelWithLoss, precision: str | None, wrapped: nn.Module | None = None
) -> ComputeWeights:
    """What a training step of a resolved precision computes with."""
    return (BFloat16Copies if precision == "bfloat16" else PlainWeights)(model_with_loss, wrapped)


def num_copied(model_with_loss: ModelWithLoss) -> int:
    """How many numbers have a copy where it is bfloat16 that is computed with."""
    return sum(weight.numel() for weight in _copied(model_with_loss).values())


def _copied(model_with_loss: ModelWithLoss) -> dict[str, Tensor]:
    """The trained hidden matrices, and the frozen ones of all linear layers, teachers' too."""
    hidden = {f"model.{name}" for name in model_with_loss.model.hidden_matrices()}
    of_linear_layers = _weights_of_linear_layers_alone(model_with_loss)
    return {
        name: weight
        for name, weight in model_with_loss.named_parameters()
        if (name in hidden if weight.requires_grad else weight in of_linear_layers)
    }


class _InsteadOf(torch.autograd.Function):
    """The copy's value, and the original's gradient: what a cast would be, without casting."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, copy: Tensor) -> Tensor:  # noqa: ARG004
        return copy.view_as(copy)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_copy: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return grad_copy.float(), None


def _weights_of_linear_layers_alone(module: nn.Module) -> set[Tensor]:
    """Matrices that nothing but linear layers holds: a head that is an embedding too is none of them."""
    owners: list[tuple[nn.Module, str, Tensor]] = [
        (layer, name, weight) for layer in module.modules() for name, weight in layer.named_parameters(recurse=False)
    ]
    linear = {weight for layer, name, weight in owners if isinstance(layer, nn.Linear) and name == "weight"}
    return linear - {weight for layer, _, weight in owners if not isinstance(layer, nn.Linear)}


def _prefix_within(wrapped: nn.Module, model_with_loss: ModelWithLoss) -> str:
    """What a wrapper puts before the names of its parameters: DDP ``module.``."""
    return next(f"{name}." for name, module in wrapped.named_modules() if module is model_with_loss)
