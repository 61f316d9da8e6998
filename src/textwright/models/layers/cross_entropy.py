"""Cross-entropy without ever holding the logits of all positions."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from textwright.models.layers import kernel_cross_entropy

LossAndGrad = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Logits [chunk, vocabulary], target ids and weights [chunk] to the weighted loss and the gradient of the logits."""
MAX_LOGIT_BYTES = 2**27
"""Logits held at once, in the type of the products: enough rows for these to run at full speed."""


def cross_entropy_sum(
    hidden: Float[Tensor, "positions hidden"],
    head: Float[Tensor, "vocabulary hidden"],
    targets: Int[Tensor, " positions"],
    weights: Float[Tensor, " positions"],
    of_chunk: LossAndGrad | None = None,
) -> Float[Tensor, ""]:
    """Sum over positions of weight x cross-entropy of ``hidden @ head.T`` against the target, in nats.

    The logits are made a chunk at a time, and where a gradient is wanted it is made of each chunk on the spot: the
    backward pass only scales it. Products run in autocast's type where autocast is on; softmax, loss and the sum over
    chunks in float32 at least.

    Source: the idea is Cut Cross-Entropy's, Wijmans et al. 2025 (arXiv:2411.09009).
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    if torch.is_grad_enabled() and (hidden.requires_grad or head.requires_grad):
        total: Tensor = _CrossEntropySum.apply(  # type: ignore[no-untyped-call]
            hidden, head, targets, weights, dtype, of_chunk or loss_and_grad
        )
        return total
    total = torch.zeros((), device=hidden.device, dtype=weights.dtype)
    inputs, matrix = hidden.to(dtype), head.to(dtype)
    for part in _chunks(inputs, matrix):
        total -= weights[part] @ _log_probs(inputs[part], matrix).gather(1, targets[part, None]).squeeze(1)
    return total


class _CrossEntropySum(torch.autograd.Function):
    """The sum with its gradient. Keeps one gradient the size of ``hidden`` and one the size of ``head``, no logits.

    What needs no gradient, such as a frozen head, costs none.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        head: Tensor,
        targets: Tensor,
        weights: Tensor,
        dtype: torch.dtype,
        of_chunk: LossAndGrad,
    ) -> Tensor:
        total = torch.zeros((), device=hidden.device, dtype=weights.dtype)
        wants_hidden, wants_head = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_head: Tensor | None = None
        with torch.autocast(hidden.device.type, enabled=False):
            inputs, matrix = hidden.to(dtype), head.to(dtype)
            for part in _chunks(inputs, matrix):
                loss, grad_logits = of_chunk(inputs[part] @ matrix.t(), targets[part], weights[part])
                total += loss
                if grad_hidden is not None:
                    grad_hidden[part] = grad_logits @ matrix
                if wants_head:
                    grad_head = _addmm(grad_head, grad_logits.t(), inputs[part])
        if wants_head:
            # There is none yet for a micro-batch of nothing but padding.
            grad_head = torch.zeros_like(head) if grad_head is None else grad_head.to(head.dtype)
        ctx.save_for_backward(grad_hidden, grad_head)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_total: Tensor) -> tuple[Tensor | None, ...]:
        # In place: the head's gradient can be the largest tensor of a step.
        scaled = (None if grad is None else grad.mul_(grad_total) for grad in ctx.saved_tensors)
        return *scaled, None, None, None, None


def loss_and_grad(
    logits: Float[Tensor, "chunk vocabulary"], targets: Int[Tensor, " chunk"], weights: Float[Tensor, " chunk"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "chunk vocabulary"]]:
    """The weighted loss of some positions, and its gradient in the logits' type; in place as far as it can be."""
    if kernel_cross_entropy.suits(logits):
        return kernel_cross_entropy.loss_and_grad(logits, targets, weights)
    log_probs = torch.log_softmax(logits, dim=1, dtype=_at_least_float32(logits.dtype))
    loss = -(weights @ log_probs.gather(1, targets[:, None]).squeeze(1))
    # The gradient of weight x -log softmax(z)[target] is weight x (softmax(z) - one_hot(target)).
    grad_logits = log_probs.exp_()
    grad_logits.scatter_add_(1, targets[:, None], grad_logits.new_full((len(log_probs), 1), -1.0))
    return loss, grad_logits.mul_(weights[:, None]).to(logits.dtype)


def compilable_loss_and_grad(
    logits: Float[Tensor, "chunk vocabulary"], targets: Int[Tensor, " chunk"], weights: Float[Tensor, " chunk"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "chunk vocabulary"]]:
    """The same, written so that a compiler makes one pass of it."""
    z = logits.to(_at_least_float32(logits.dtype))
    log_total = z.logsumexp(1, keepdim=True)
    loss = (weights * (log_total - z.gather(1, targets[:, None])).squeeze(1)).sum()
    hit = torch.arange(logits.shape[1], device=logits.device) == targets[:, None]
    return loss, (((z - log_total).exp() - hit.to(z.dtype)) * weights[:, None]).to(logits.dtype)


def _addmm(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """total + left @ right, in float32 at least; in place where there is a total."""
    if total is None:
        return (left @ right).to(_at_least_float32(left.dtype))
    if total.dtype == left.dtype:
        return total.addmm_(left, right)
    return total.add_(left @ right)


def _log_probs(hidden: Tensor, head: Tensor) -> Tensor:
    return torch.log_softmax(hidden @ head.t(), dim=1, dtype=_at_least_float32(hidden.dtype))


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _chunks(hidden: Tensor, head: Tensor) -> Iterator[slice]:
    """Slices of positions whose logits fit into MAX_LOGIT_BYTES, as equal as can be: a compiler likes that."""
    num_bytes = len(hidden) * len(head) * hidden.element_size()
    count = max(1, -(-num_bytes // MAX_LOGIT_BYTES))
    size = max(1, -(-len(hidden) // count))
    return (slice(start, start + size) for start in range(0, len(hidden), size))
