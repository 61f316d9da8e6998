"""GELU in its tanh form by a kernel of our own, for training on a CPU in float32."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from textwright.kernels.torch_threads import TrainingKernel, suit
from textwright.kernels.training_jobs import GELU

KERNEL = TrainingKernel("textwright.kernels.training_gelu", GELU)

LEAST = 1 << 16
"""Numbers: of fewer torch's own is as fast, as it takes less to call."""


def suits(x: Tensor) -> bool:
    """Whether the kernel is the faster for these numbers."""
    return x.numel() >= LEAST and suit(x)


def gelu_tanh(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """x / (1 + exp(-2 sqrt(2 / pi) (x + 0.044715 x^3))).

    Args:
        x: float32, on a CPU.
    """
    out: Tensor = _gelu(x) if torch.compiler.is_compiling() else _Gelu.apply(x)  # type: ignore[no-untyped-call]
    return out


class _Gelu(torch.autograd.Function):
    """Where nothing is compiled: an operator's first call loads torch's compiler, which takes a second or two."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _forward(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> Tensor:
        return _backward(grad_out, *ctx.saved_tensors)


def _forward(x: Tensor) -> Tensor:
    return _do(x, None)


def _backward(grad_out: Tensor, x: Tensor) -> Tensor:
    return _do(x, grad_out)


# An operator of its own is one node to torch.compile.
_gelu = torch.library.custom_op("textwright::gelu_tanh", _forward, mutates_args=())
_gelu_backward = torch.library.custom_op("textwright::gelu_tanh_backward", _backward, mutates_args=())


@_gelu.register_fake
def _gelu_shape(x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@_gelu_backward.register_fake
def _gelu_backward_shape(_: Tensor, x: Tensor) -> Tensor:
    return x.new_empty(x.shape)


def _keep(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ARG001
    ctx.save_for_backward(*inputs)


def _gradient(ctx: Any, grad_out: Tensor) -> Tensor:
    gradient: Tensor = _gelu_backward(grad_out, *ctx.saved_tensors)
    return gradient


_gelu.register_autograd(_gradient, setup_context=_keep)


def _do(x: Tensor, grad_out: Tensor | None) -> Tensor:
    """Fill in a job and have it done."""
    out = x.new_empty(x.shape)
    x, grad_out = x.contiguous(), None if grad_out is None else grad_out.contiguous()
    told = {"count": x.numel(), "x": x.data_ptr(), "out": out.data_ptr()}
    if grad_out is not None:
        told |= {"is_backward": 1, "grad_out": grad_out.data_ptr()}
    KERNEL.do(told, torch.get_num_threads())
    return out
