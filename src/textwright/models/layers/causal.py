"""Causal attention by blocks of queries, each against the keys it may see.

::

                 keys
               x . . . . .      block 0: queries 0, 1 against keys 0, 1
    queries    x x . . . .
               x x x . . .      block 1: queries 2, 3 against keys 0 to 3
               x x x x . .
               x x x x x .      block 2: ...
               x x x x x x

On a CPU this runs at the speed of bfloat16 matrix products, which torch's flash kernel there does not. The upper half
is never computed but for the blocks on the diagonal; the probabilities are kept for the backward pass, in bfloat16.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 128


def blocked_causal_attention(
    query: Float[Tensor, "batch heads time head_dim"],
    key: Float[Tensor, "batch heads time head_dim"],
    value: Float[Tensor, "batch heads time head_dim"],
    scale: float,
) -> Float[Tensor, "batch heads time head_dim"]:
    """softmax(scale x query @ key.T) @ value, each query looking at its own place and at those before it."""
    flat = (part.flatten(0, 1) for part in (query, key, value))
    if torch.compiler.is_compiling():
        attn_out: Tensor = _attend(*flat, scale, True)[0]
    else:
        attn_out = _Attention.apply(*flat, scale)  # type: ignore[no-untyped-call]
    return attn_out.view(query.shape)


class _Attention(torch.autograd.Function):
    """Where nothing is compiled: an operator's first call loads torch's compiler, which takes a second or two."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        out, probs = _forward(query, key, value, scale, False)
        ctx.save_for_backward(query, key, value, out, probs)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, probs = ctx.saved_tensors
        return *_backward(grad_out.contiguous(), query, key, value, out, probs, ctx.scale, False), None


def _forward(query: Tensor, key: Tensor, value: Tensor, scale: float, compiled: bool) -> tuple[Tensor, Tensor]:
    """Of [batch x heads, time, head_dim]; the same shape, and all probabilities, one block's after the other's."""
    number, time, _ = query.shape
    out, probs_of_blocks = torch.empty_like(query), query.new_empty(_num_probs(number, time))
    fill, used = _maybe_compiled(_fill_probs, compiled), 0
    for start, stop in _blocks(time):
        scores = torch.bmm(query[:, start:stop], key[:, :stop].mT)
        probs = probs_of_blocks[used : used + scores.numel()].view(scores.shape)
        used += scores.numel()
        fill(scores, probs, scale)
        out[:, start:stop] = torch.bmm(probs, value[:, :stop])
    return out, probs_of_blocks


def _backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    probs_of_blocks: Tensor,
    scale: float,
    compiled: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value."""
    time = query.shape[1]
    # The gradient of a softmax row p, from the gradient g of its values: p x (g - sum(p x g)), and sum(p x g) is
    # what the output and its gradient give directly.
    delta = _maybe_compiled(_sum_of_products, compiled)(grad_out, out)
    fill, used = _maybe_compiled(_fill_score_gradient, compiled), 0
    grad_query = torch.empty_like(query)
    grad_key, grad_value = (torch.zeros(part.shape, dtype=torch.float32, device=part.device) for part in (key, value))
    for start, stop in _blocks(time):
        here = grad_out[:, start:stop]
        grad_probs = torch.bmm(here, value[:, :stop].mT)
        probs = probs_of_blocks[used : used + grad_probs.numel()].view(grad_probs.shape)
        used += grad_probs.numel()
        grad_value[:, :stop] += torch.bmm(probs.mT, here)
        fill(probs, grad_probs, delta[:, start:stop].contiguous(), scale)
        grad_query[:, start:stop] = torch.bmm(grad_probs, key[:, :stop])
        grad_key[:, :stop] += torch.bmm(grad_probs.mT, query[:, start:stop])
    return grad_query, grad_key.to(key.dtype), grad_value.to(value.dtype)


# An operator of its own is one node to torch.compile: written out, each block of each length would be compiled apart,
# which takes most of the waiting. What is element-wise in it is compiled once for all lengths.
_attend = torch.library.custom_op("textwright::causal_attention", _forward, mutates_args=())
_attend_backward = torch.library.custom_op("textwright::causal_attention_backward", _backward, mutates_args=())


@_attend.register_fake
def _attend_shape(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(query), query.new_empty(_num_probs(query.shape[0], query.shape[1]))


@_attend_backward.register_fake
def _attend_backward_shape(_: Tensor, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = inputs[:3]
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.scale, ctx.compiled = inputs
    ctx.save_for_backward(*tensors, *output)


def _gradients(ctx: Any, grad_out: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return *_attend_backward(grad_out.contiguous(), *ctx.saved_tensors, ctx.scale, ctx.compiled), None, None


_attend.register_autograd(_gradients, setup_context=_keep)


def _blocks(time: int) -> list[tuple[int, int]]:
    """Where each block of queries begins and ends; the last first.

    A compiler that sees the last block first sees that a block may have more keys than queries.
    """
    return [(start, min(time, start + BLOCK)) for start in reversed(range(0, time, BLOCK))]


def _num_probs(number: int, time: int) -> int:
    """Probabilities of all blocks."""
    return number * sum((stop - start) * stop for start, stop in _blocks(time))


def _fill_probs(scores: Tensor, probs: Tensor, scale: float) -> None:
    """Softmax over the keys each query may see, into ``probs``; the last query sees all of them."""
    queries, keys = scores.shape[1:]
    last = torch.arange(queries, device=scores.device)[:, None] + (keys - queries)
    hidden = torch.arange(keys, device=scores.device) > last
    probs.copy_(torch.softmax((scores.float() * scale).masked_fill(hidden, float("-inf")), dim=-1))


def _fill_score_gradient(probs: Tensor, grad_probs: Tensor, delta: Tensor, scale: float) -> None:
    """The gradient of the scores, over that of the probabilities."""
    grad_probs.copy_(probs.float() * (grad_probs.float() - delta) * scale)


def _sum_of_products(left: Tensor, right: Tensor) -> Tensor:
    return (left.float() * right.float()).sum(-1, keepdim=True)


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=True)


def _maybe_compiled(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    return _compiled(function) if compiled else function
