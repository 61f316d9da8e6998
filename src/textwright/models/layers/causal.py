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

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 128


def blocked_causal_attention(
    query: Float[Tensor, "rows heads time head_width"],
    key: Float[Tensor, "rows heads time head_width"],
    value: Float[Tensor, "rows heads time head_width"],
    scale: float,
) -> Float[Tensor, "rows heads time head_width"]:
    """softmax(scale x query @ key.T) @ value, each query looking at its own place and at those before it."""
    flat = (part.flatten(0, 1) for part in (query, key, value))
    looked: Tensor = _BlockedCausal.apply(*flat, scale)  # type: ignore[no-untyped-call]
    return looked.view(query.shape)


class _BlockedCausal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        outs, patterns = [], []
        for start in range(0, query.shape[1], BLOCK):
            stop = min(query.shape[1], start + BLOCK)
            scores = torch.bmm(query[:, start:stop], key[:, :stop].mT)
            pattern = _pattern(scores, start, scale)
            outs.append(torch.bmm(pattern, value[:, :stop]))
            patterns.append(pattern)
        out = torch.cat(outs, dim=1)
        ctx.save_for_backward(query, key, value, out, *patterns)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, *patterns = ctx.saved_tensors
        # The gradient of a softmax row p, from the gradient g of its values: p x (g - sum(p x g)), and sum(p x g) is
        # what the output and its gradient give directly.
        delta = (of_out.float() * out.float()).sum(-1, keepdim=True)
        of_query = []
        of_key, of_value = (torch.zeros(part.shape, dtype=torch.float32, device=part.device) for part in (key, value))
        for index, pattern in enumerate(patterns):
            start, stop = index * BLOCK, index * BLOCK + pattern.shape[1]
            here = of_out[:, start:stop]
            of_pattern = torch.bmm(here, value[:, :stop].mT)
            of_scores = (pattern.float() * (of_pattern.float() - delta[:, start:stop]) * ctx.scale).to(pattern.dtype)
            of_query.append(torch.bmm(of_scores, key[:, :stop]))
            of_key[:, :stop] += torch.bmm(of_scores.mT, query[:, start:stop])
            of_value[:, :stop] += torch.bmm(pattern.mT, here)
        return torch.cat(of_query, dim=1), of_key.to(key.dtype), of_value.to(value.dtype), None


def _pattern(scores: Tensor, start: int, scale: float) -> Tensor:
    """Softmax over the keys each query may see; the queries begin at ``start``."""
    queries = torch.arange(scores.shape[1], device=scores.device)[:, None] + start
    hidden = torch.arange(scores.shape[2], device=scores.device) > queries
    return torch.softmax((scores.float() * scale).masked_fill(hidden, float("-inf")), dim=-1).to(scores.dtype)
