"""Whether matrix products run in bfloat16, and the context in which they do."""

import contextlib
from typing import cast

import torch
from torch.func import functional_call

from textwright.batches.batch import Batch
from textwright.core.device import Precision, has_fast_bfloat16
from textwright.training.optimizers import hidden_matrices
from textwright.training.step import Loss, TrainStep

MIN_WIDTH = 256
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
    """A training step computed with its own weights."""

    def __init__(self, train_step: TrainStep) -> None:
        self._train_step = train_step

    def loss(self, batch: Batch) -> Loss:
        """The loss of a micro-batch."""
        return cast(Loss, self._train_step(batch))

    def take_gradients(self) -> None:
        """After each backward pass: see that the gradients are with the weights."""

    def refresh(self) -> None:
        """After the weights moved: see that the next loss is computed with the new ones."""


class BFloat16Weights(Float32Weights):
    """A training step computed with bfloat16 copies of its matrices.

    They are made once per optimizer step, not once per micro-batch. The float32 originals are what the optimizer moves
    and what is saved; embeddings, norms and biases are used as they are.
    """

    def __init__(self, train_step: TrainStep) -> None:
        super().__init__(train_step)
        trained = dict(train_step.named_parameters())
        self._originals = {name: trained[name] for name in hidden_matrices(train_step)}
        self._copies = {name: original.detach().bfloat16() for name, original in self._originals.items()}
        for copy in self._copies.values():
            copy.requires_grad_()

    def loss(self, batch: Batch) -> Loss:
        with torch.autocast(batch.input_ids.device.type, dtype=torch.bfloat16):
            return cast(Loss, functional_call(self._train_step, self._copies, (batch,)))

    @torch.no_grad()
    def take_gradients(self) -> None:
        for name, copy in self._copies.items():
            original = self._originals[name]
            if copy.grad is None:
                continue
            if original.grad is None:
                original.grad = copy.grad.float()
            else:
                original.grad += copy.grad
            copy.grad = None

    @torch.no_grad()
    def refresh(self) -> None:
        torch._foreach_copy_(list(self._copies.values()), list(self._originals.values()))


def computing_weights(train_step: TrainStep, precision: str | None) -> Float32Weights:
    """How a training step computes at a decided precision."""
    return BFloat16Weights(train_step) if precision == "bfloat16" else Float32Weights(train_step)
