"""Whether matrix products run in bfloat16, and the context in which they do."""

import contextlib
from typing import cast

import torch
from torch import Tensor
from torch.func import functional_call

from textwright.batches.batch import Batch
from textwright.core.device import Precision, has_fast_bfloat16
from textwright.training.optimizers import hidden_matrices
from textwright.training.step import Loss, TrainStep

MIN_WIDTH = 128
"""Below this width casting weights and activations costs more than bfloat16 products save (docs/experiments.md)."""


def choose_training_precision(device: torch.device, name: str, width: int) -> Precision:
    """``name``, or for ``auto`` bfloat16 where the hardware has it and the model is wide enough to gain.

    A rule rather than a measurement: the same seed on the same machine gives the same weights.
    """
    if name == "float32":
        return "float32"
    if name == "bfloat16":
        return "bfloat16"
    assert name == "auto", name
    return "bfloat16" if width >= MIN_WIDTH and has_fast_bfloat16(device) else "float32"


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The context for a forward pass: products in ``precision``; weights stay float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


class Float32Weights:
    """A training step computed with its own weights.

    Attributes:
        copies: what the step is computed with instead of its weights, by weight; the optimizer moves them too.
    """

    def __init__(self, train_step: TrainStep) -> None:
        self._train_step = train_step
        self._trained = [parameter for parameter in train_step.parameters() if parameter.requires_grad]
        self.copies: dict[Tensor, Tensor] = {}

    def loss(self, batch: Batch) -> Loss:
        """The loss of a micro-batch."""
        return cast(Loss, self._train_step(batch))

    def add_up(self) -> None:
        """Between the backward passes of two micro-batches: see that their gradients add up in float32."""

    def gradients(self) -> dict[Tensor, Tensor]:
        """What the backward passes left, by weight; float32, or bfloat16 where there was only one of them."""
        return {parameter: parameter.grad for parameter in self._trained if parameter.grad is not None}

    def free_gradients(self) -> None:
        """Forget the gradients and their memory."""
        for parameter in self._trained:
            parameter.grad = None

    def refresh(self) -> None:
        """After the weights were set: see that the next loss is computed with the new ones."""


class BFloat16Weights(Float32Weights):
    """A training step computed with bfloat16 copies of its matrices.

    They are made once per optimizer step, not once per micro-batch. The float32 originals are what the optimizer moves
    and what is saved; embeddings, norms and biases are used as they are.
    """

    def __init__(self, train_step: TrainStep) -> None:
        super().__init__(train_step)
        trained = dict(train_step.named_parameters())
        self._named = {name: trained[name].detach().bfloat16() for name in hidden_matrices(train_step)}
        for name, copy in self._named.items():
            copy.requires_grad_()
            self.copies[trained[name]] = copy

    def loss(self, batch: Batch) -> Loss:
        with torch.autocast(batch.input_ids.device.type, dtype=torch.bfloat16):
            return cast(Loss, functional_call(self._train_step, self._named, (batch,)))

    @torch.no_grad()
    def add_up(self) -> None:
        for original, copy in self.copies.items():
            if copy.grad is None:
                continue
            if original.grad is None:
                original.grad = copy.grad.float()
            else:
                original.grad += copy.grad
            copy.grad = None

    def gradients(self) -> dict[Tensor, Tensor]:
        if any(original.grad is not None for original in self.copies):
            self.add_up()
        of_copies = {original: copy.grad for original, copy in self.copies.items() if copy.grad is not None}
        return super().gradients() | of_copies

    def free_gradients(self) -> None:
        super().free_gradients()
        for copy in self._named.values():
            copy.grad = None

    @torch.no_grad()
    def refresh(self) -> None:
        torch._foreach_copy_(list(self.copies.values()), list(self.copies))


def computing_weights(train_step: TrainStep, precision: str | None) -> Float32Weights:
    """How a training step computes at a decided precision."""
    return BFloat16Weights(train_step) if precision == "bfloat16" else Float32Weights(train_step)
