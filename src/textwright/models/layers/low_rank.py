"""A linear layer with products of low rank beside its matrix.

::

    x ──> W x + bias ──────────────────> + ──> out        W: [out, in]
    └──> dropout ──> A ──> B ──> scale ──┘                A: [rank, in], B: [rows of W, rank]

Source: Hu et al. 2021 (arXiv:2106.09685).
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from textwright.models.layers import kernel_low_rank
from textwright.models.layers.linear import Linear


class LowRank(nn.Module):
    """Two matrices whose product is added to rows of a layer's own.

    Attributes:
        lora_a: [rank, in].
        lora_b: [rows, rank]; zeros at first, so that nothing is added before it is trained.

    Args:
        in_features: columns of the layer's matrix.
        start: the first of its rows that something is added to.
        stop: the end of those.
        rank: see ``LoraConfig``.
        alpha: likewise.
        rank_stabilised: likewise.
    """

    def __init__(
        self, in_features: int, start: int, stop: int, *, rank: int, alpha: float, rank_stabilised: bool
    ) -> None:
        super().__init__()
        self.start, self.stop, self.alpha, self.rank_stabilised = start, stop, alpha, rank_stabilised
        self.lora_a = nn.Parameter(torch.zeros(rank, in_features))
        self.lora_b = nn.Parameter(torch.zeros(stop - start, rank))

    @property
    def rank(self) -> int:
        """Rows of A."""
        return len(self.lora_a)

    @property
    def scale(self) -> float:
        """What the product is multiplied with."""
        return self.alpha / (math.sqrt(self.rank) if self.rank_stabilised else self.rank)

    def init_weights(self, generator: torch.Generator) -> None:
        """A as PEFT draws it: uniform, up to 1 / sqrt(columns). B stays zeros."""
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5), generator=generator)


class LoraLinear(Linear):
    """Takes a linear layer's place, weights and their names and all, and adds products of low rank.

    Attributes:
        lora: the products, by the names of the rows that they are added to.

    Args:
        layer: whose place it takes.
        dropout: on what goes into the products, where it is learned from.
    """

    def __init__(self, layer: nn.Linear, dropout: float) -> None:
        splits = layer.splits if isinstance(layer, Linear) else (layer.out_features,)
        super().__init__(layer.in_features, splits=splits, bias=layer.bias is not None)
        self.weight, self.bias = layer.weight, layer.bias
        self.dropout = dropout
        self.lora = nn.ModuleDict()
        self.train(layer.training)

    def forward(self, x: Float[Tensor, "*places in"]) -> Float[Tensor, "*places out"]:
        """W x + bias + scale B A x, the products in the precision of W x."""
        a, b = self._stacked()
        if self._multiplies_once(x):
            return _MergedLinear.apply(x, self.weight, self.bias, a, b)  # type: ignore[no-untyped-call,no-any-return]
        # Decoding is without dropout, in the middle of training too.
        dropped = F.dropout(x, self.dropout, self.training and torch.is_grad_enabled())
        return super().forward(x) + F.linear(F.linear(dropped, a), b)

    def _multiplies_once(self, x: Tensor) -> bool:
        """Whether W + B A is multiplied with: in float32, where it is learned and nothing is dropped.

        In bfloat16 a small B A would be lost in the sum.
        """
        is_plain = self.weight.dtype == x.dtype == torch.float32 and not torch.is_autocast_enabled(x.device.type)
        return is_plain and torch.is_grad_enabled() and not (self.dropout and self.training)

    @torch.no_grad()
    def merged_weight(self) -> Float[Tensor, "out in"]:
        """The one matrix that does the same without dropout."""
        a, b = self._stacked()
        return torch.addmm(self.weight, b, a)

    @torch.no_grad()
    def merged(self) -> Linear:
        """A plain layer that does the same without dropout; the matrix is changed in place, and is its own."""
        plain = Linear(self.in_features, splits=self.splits, bias=self.bias is not None)
        self.weight.copy_(self.merged_weight())
        plain.weight, plain.bias = self.weight, self.bias
        return plain.train(self.training)

    def low_rank(self) -> list[LowRank]:
        """The products."""
        return [pair for pair in self.lora.values() if isinstance(pair, LowRank)]

    def _stacked(self) -> tuple[Float[Tensor, "rank in"], Float[Tensor, "out rank"]]:
        """All products as one: each B stands in its own rows and columns, among zeros."""
        pairs, out = self.low_rank(), self.out_features
        if len(pairs) == 1 and pairs[0].stop - pairs[0].start == out:
            return pairs[0].lora_a, pairs[0].lora_b * pairs[0].scale
        columns = [F.pad(pair.lora_b * pair.scale, (0, 0, pair.start, out - pair.stop)) for pair in pairs]
        return torch.cat([pair.lora_a for pair in pairs]), torch.cat(columns, dim=1)


class _MergedLinear(torch.autograd.Function):
    """One product with W + B A instead of three with W, A and B, both ways.

    The sum is made for each of them and not kept: it costs a rank's part of a product, and to keep it would be a copy
    of every frozen matrix::

        out = x (W + B A)' + bias      dx = dout (W + B A)      dA = (dout B)' x      dB = dout' (x A')
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, a, b)
        return F.linear(x, torch.addmm(weight, b, a), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b = ctx.saved_tensors
        of_x, of_weight, of_bias, of_a, of_b = ctx.needs_input_grad
        outs, ins = grad_out.flatten(0, -2), x.flatten(0, -2)
        return (
            grad_out @ torch.addmm(weight, b, a) if of_x else None,
            outs.T @ ins if of_weight else None,
            outs.sum(0) if of_bias else None,
            *_gradients(outs, ins, a, b, (of_a, of_b)),
        )


def _gradients(
    grad_out: Tensor, x: Tensor, a: Tensor, b: Tensor, wanted: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """dA and dB, where they are wanted."""
    if all(wanted) and kernel_low_rank.suits(grad_out, x, len(a)):
        return kernel_low_rank.low_rank_gradients(grad_out, x, a, b)
    return (
        (grad_out @ b).T @ x if wanted[0] else None,
        # Turned, this product of few rows takes two thirds of the time on a CPU.
        ((x @ a.T).T @ grad_out).T if wanted[1] else None,
    )


def lora_layers(module: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """The layers that have products, with their names."""
    for name, layer in module.named_modules():
        if isinstance(layer, LoraLinear):
            yield name, layer


def lora_state(module: nn.Module) -> dict[str, Tensor]:
    """The products' matrices by their names, detached; empty where there are none."""
    return {
        f"{name}.lora.{of_pair}": tensor
        for name, layer in lora_layers(module)
        for of_pair, tensor in layer.lora.state_dict().items()
    }


def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """The state of a network, or of a part of one, with all products folded in, by the names of a plain one.

    The module itself stays as it is. What has no product shares its memory.
    """
    of_products = lora_state(module)
    state = {name: tensor for name, tensor in module.state_dict().items() if name not in of_products}
    return state | {f"{name}.weight": layer.merged_weight() for name, layer in lora_layers(module)}
