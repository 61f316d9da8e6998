"""Causal attention by kernels of our own, for training on a CPU in float32: of packed documents, and of short rows."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from textwright.kernels.torch_threads import TrainingKernel, suit
from textwright.kernels.training_jobs import ATTENTION, attention_work_bytes

KERNEL = TrainingKernel("textwright.kernels.training_attention", ATTENTION)

WIDTHS = 8
"""The width of a head is a multiple of it."""


def suits(weight: Tensor, head_dim: int) -> bool:
    """Whether there are kernels for a model that now computes in a weight's type and on its device."""
    return head_dim % WIDTHS == 0 and suit(weight)


def causal_attention(
    query: Float[Tensor, "batch heads time head_dim"],
    key: Float[Tensor, "batch heads time head_dim"],
    value: Float[Tensor, "batch heads time head_dim"],
    starts: Int[Tensor, "batch time"],
    scale: float,
) -> Float[Tensor, "batch heads time head_dim"]:
    """softmax(scale x query @ key.T) @ value, each query looking at keys from a place of its own to its own place.

    Args:
        query: float32.
        key: float32.
        value: float32.
        starts: int32; of each place the first that it looks at: no lower than that of the place before it.
        scale: what the products are multiplied with.
    """
    of = query, key, value, starts, scale
    attn_out: Tensor = _attend(*of)[0] if torch.compiler.is_compiling() else _Attention.apply(*of)  # type: ignore[no-untyped-call]
    return attn_out


class _Attention(torch.autograd.Function):
    """Where nothing is compiled: an operator's first call loads torch's compiler, which takes a second or two."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float) -> Tensor:
        out, logsumexp = _forward(query, key, value, starts, scale)
        ctx.save_for_backward(query, key, value, starts, out, logsumexp)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, starts, out, logsumexp = ctx.saved_tensors
        return *_backward(grad_out, query, key, value, starts, out, logsumexp, ctx.scale), None, None


def _forward(query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """What each query takes, and the logarithm of its softmax's sum, [batch, heads, time]."""
    out, logsumexp = _like(query), query.new_empty(query.shape[:3])
    tensors = dict(zip(("query", "key", "value"), map(_dense, (query, key, value)), strict=True))
    _do(tensors | {"out": out}, starts, logsumexp, scale, is_backward=False)
    return out, logsumexp


def _backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    starts: Tensor,
    out: Tensor,
    logsumexp: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query, key and value."""
    names = ("query", "key", "value", "out", "grad_out")
    tensors = dict(zip(names, map(_dense, (query, key, value, out, grad_out)), strict=True))
    found = {f"grad_{name}": _like(query) for name in names[:3]}
    _do(tensors | found, starts, logsumexp, scale, is_backward=True)
    return found["grad_query"], found["grad_key"], found["grad_value"]


# An operator of its own is one node to torch.compile.
_attend = torch.library.custom_op("textwright::training_attention", _forward, mutates_args=())
_attend_backward = torch.library.custom_op("textwright::training_attention_backward", _backward, mutates_args=())


@_attend.register_fake
def _attend_shape(query: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return _like(query), query.new_empty(query.shape[:3])


@_attend_backward.register_fake
def _attend_backward_shape(_: Tensor, query: Tensor, *__: Any) -> tuple[Tensor, Tensor, Tensor]:
    return _like(query), _like(query), _like(query)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.scale = inputs
    ctx.save_for_backward(*tensors, *output)


def _gradients(ctx: Any, grad_out: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    return *_attend_backward(grad_out, *ctx.saved_tensors, ctx.scale), None, None


_attend.register_autograd(_gradients, setup_context=_keep)


def _do(tensors: dict[str, Tensor], starts: Tensor, logsumexp: Tensor, scale: float, *, is_backward: bool) -> None:
    """Fill in a job and have it done."""
    rows, heads, time, width = tensors["query"].shape
    num_threads = max(1, min(torch.get_num_threads(), rows * heads))
    work, factor = torch.empty(num_threads * attention_work_bytes(time, width) // 4), np.array([scale], np.float32)
    told = {"rows": rows, "heads": heads, "time": time, "width": width, "is_backward": int(is_backward)}
    told |= {"starts": starts.data_ptr(), "logsumexp": logsumexp.data_ptr(), "scale": factor.ctypes.data}
    told |= {"work": work.data_ptr(), "work_bytes": work.nbytes // num_threads}
    for name, tensor in tensors.items():
        row, head, token, _ = tensor.stride()
        told |= {name: tensor.data_ptr(), f"{name}_row": 4 * row, f"{name}_head": 4 * head, f"{name}_token": 4 * token}
    KERNEL.do(told, num_threads)


def _like(query: Tensor) -> Tensor:
    """As large; heads of a token lie beside each other, as what comes after attention wants them."""
    return query.new_empty([query.shape[place] for place in (0, 2, 1, 3)]).transpose(1, 2)


def _dense(part: Tensor) -> Tensor:
    """With the numbers of a head one after the other."""
    return part if part.stride(-1) == 1 else part.contiguous()
