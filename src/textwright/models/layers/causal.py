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
is never computed but for the blocks on the diagonal; the pattern is kept for the backward pass, in bfloat16.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 128


def blocked_causal_attention(
    query: Float[Tensor, "rows heads time head_dim"],
    key: Float[Tensor, "rows heads time head_dim"],
    value: Float[Tensor, "rows heads time head_dim"],
    scale: float,
) -> Float[Tensor, "rows heads time head_dim"]:
    """softmax(scale x query @ key.T) @ value, each query looking at its own place and at those before it."""
    flat = (part.flatten(0, 1) for part in (query, key, value))
    looked: Tensor = _attend(*flat, scale, torch.compiler.is_compiling())[0]
    return looked.view(query.shape)


# An operator of its own is one node to torch.compile: written out, each block of each length would be compiled apart,
# which takes most of the waiting. What is element-wise in it is compiled once for all lengths.
@torch.library.custom_op("textwright::causal_attention", mutates_args=())
def _attend(query: Tensor, key: Tensor, value: Tensor, scale: float, fused: bool) -> tuple[Tensor, Tensor]:
    """Of [rows x heads, time, head width]; the same shape, and all patterns, one block's after the other's."""
    number, time, _ = query.shape
    out, patterns = torch.empty_like(query), query.new_empty(_num_patterns(number, time))
    fill, used = _maybe_fused(_fill_pattern, fused), 0
    for start, stop in _blocks(time):
        scores = torch.bmm(query[:, start:stop], key[:, :stop].mT)
        pattern = patterns[used : used + scores.numel()].view(scores.shape)
        used += scores.numel()
        fill(scores, pattern, scale)
        out[:, start:stop] = torch.bmm(pattern, value[:, :stop])
    return out, patterns


@torch.library.custom_op("textwright::causal_attention_backward", mutates_args=())
def _attend_backward(
    of_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    patterns: Tensor,
    scale: float,
    fused: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value."""
    time = query.shape[1]
    # The gradient of a softmax row p, from the gradient g of its values: p x (g - sum(p x g)), and sum(p x g) is
    # what the output and its gradient give directly.
    delta = _maybe_fused(_sum_of_products, fused)(of_out, out)
    fill, used = _maybe_fused(_fill_score_gradient, fused), 0
    of_query = torch.empty_like(query)
    of_key, of_value = (torch.zeros(part.shape, dtype=torch.float32, device=part.device) for part in (key, value))
    for start, stop in _blocks(time):
        here = of_out[:, start:stop]
        of_pattern = torch.bmm(here, value[:, :stop].mT)
        pattern = patterns[used : used + of_pattern.numel()].view(of_pattern.shape)
        used += of_pattern.numel()
        of_value[:, :stop] += torch.bmm(pattern.mT, here)
        fill(pattern, of_pattern, delta[:, start:stop].contiguous(), scale)
        of_query[:, start:stop] = torch.bmm(of_pattern, key[:, :stop])
        of_key[:, :stop] += torch.bmm(of_pattern.mT, query[:, start:stop])
    return of_query, of_key.to(key.dtype), of_value.to(value.dtype)


@_attend.register_fake
def _attend_shape(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(query), query.new_empty(_num_patterns(query.shape[0], query.shape[1]))


@_attend_backward.register_fake
def _attend_backward_shape(_: Tensor, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = inputs[:3]
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.scale, ctx.fused = inputs
    ctx.save_for_backward(*tensors, *output)


def _gradients(ctx: Any, of_out: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return *_attend_backward(of_out.contiguous(), *ctx.saved_tensors, ctx.scale, ctx.fused), None, None


_attend.register_autograd(_gradients, setup_context=_keep)


def _blocks(time: int) -> list[tuple[int, int]]:
    """Where each block of queries begins and ends; the last first.

    A compiler that sees the last block first sees that a block may have more keys than queries.
    """
    return [(start, min(time, start + BLOCK)) for start in reversed(range(0, time, BLOCK))]


def _num_patterns(number: int, time: int) -> int:
    """Elements of the patterns of all blocks."""
    return number * sum((stop - start) * stop for start, stop in _blocks(time))


def _fill_pattern(scores: Tensor, pattern: Tensor, scale: float) -> None:
    """Softmax over the keys each query may see, into ``pattern``; the last query sees all of them."""
    queries, keys = scores.shape[1:]
    last = torch.arange(queries, device=scores.device)[:, None] + (keys - queries)
    hidden = torch.arange(keys, device=scores.device) > last
    pattern.copy_(torch.softmax((scores.float() * scale).masked_fill(hidden, float("-inf")), dim=-1))


def _fill_score_gradient(pattern: Tensor, of_pattern: Tensor, delta: Tensor, scale: float) -> None:
    """The gradient of the scores, over that of the pattern."""
    of_pattern.copy_(pattern.float() * (of_pattern.float() - delta) * scale)


def _sum_of_products(left: Tensor, right: Tensor) -> Tensor:
    return (left.float() * right.float()).sum(-1, keepdim=True)


@cache
def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function, dynamic=True)


def _maybe_fused(function: Callable[..., Any], fused: bool) -> Callable[..., Any]:
    return _fused(function) if fused else function
