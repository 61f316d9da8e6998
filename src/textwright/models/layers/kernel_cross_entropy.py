"""Cross-entropy with its gradient by a kernel of our own, for training on a CPU in float32."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.kernels.torch_threads import TrainingKernel, suit
from textwright.kernels.training_jobs import CROSS_ENTROPY

KERNEL = TrainingKernel("textwright.kernels.training_cross_entropy", CROSS_ENTROPY)

LEAST = 1 << 16
"""Logits: of fewer torch's own are as fast, as they take less to call."""


def suits(logits: Tensor) -> bool:
    """Whether the kernel is the faster for these."""
    return logits.numel() >= LEAST and suit(logits)


def loss_and_grad(
    logits: Float[Tensor, "chunk vocabulary"], targets: Int[Tensor, " chunk"], weights: Float[Tensor, " chunk"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "chunk vocabulary"]]:
    """The weighted loss of some positions, in nats, and its gradient.

    Args:
        logits: float32, on a CPU; the gradient takes their place.
        targets: of the vocabulary.
        weights: float32.
    """
    positions, vocabulary = logits.shape
    if positions and not 0 <= int(targets.min()) <= int(targets.max()) < vocabulary:
        raise IndexError(f"a target is not among the {vocabulary:,} tokens that there are logits of")
    logits, targets, weights = logits.contiguous(), targets.long().contiguous(), weights.float().contiguous()
    losses = logits.new_empty(positions)
    tensors = {"logits": logits, "targets": targets, "weights": weights, "losses": losses}
    told = {"positions": positions, "vocabulary": vocabulary}
    told |= {name: tensor.data_ptr() for name, tensor in tensors.items()}
    KERNEL.do(told, torch.get_num_threads())
    return losses.sum(), logits
