"""What a block does to each token alone."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textwright.models.hooks import BlockHooks
from textwright.models.layers import kernel_gelu
from textwright.models.layers.linear import Linear


def _gelu_tanh(x: Tensor) -> Tensor:
    return kernel_gelu.gelu_tanh(x) if kernel_gelu.suits(x) else F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": _gelu_tanh,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
}


class MLP(nn.Module):
    """Up-projection, activation, down-projection.

    Args:
        hidden_size: width of what comes in and goes out.
        intermediate_size: width between.
        activation: a row of ``ACTIVATIONS``.
        bias: whether the matrices have one.
    """

    def __init__(self, hidden_size: int, intermediate_size: int, activation: str, *, bias: bool = True) -> None:
        super().__init__()
        self.up = Linear(hidden_size, intermediate_size, bias=bias)
        self.down = Linear(intermediate_size, hidden_size, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def forward(
        self, x: Float[Tensor, "batch time hidden"], hooks: BlockHooks | None = None
    ) -> Float[Tensor, "batch time hidden"]:
        """down(activation(up(x))), with the points ``mlp.hook_pre`` and ``mlp.hook_post`` around the activation."""
        if hooks is None:
            out: Tensor = self.down(self.activation(self.up(x)))
            return out
        mlp_out: Tensor = self.down(hooks("mlp.hook_post", self.activation(hooks("mlp.hook_pre", self.up(x)))))
        return mlp_out


class GatedMLP(nn.Module):
    """Two up-projections, one of which gates the other, and a down-projection.

    Source: Shazeer 2020 (arXiv:2002.05202), SwiGLU when the activation is silu.

    Args:
        hidden_size: width of what comes in and goes out.
        intermediate_size: width between.
        activation: a row of ``ACTIVATIONS``, applied to the gate.
        bias: whether the matrices have one.
    """

    def __init__(self, hidden_size: int, intermediate_size: int, activation: str, *, bias: bool = False) -> None:
        super().__init__()
        self.gate = Linear(hidden_size, intermediate_size, bias=bias)
        self.up = Linear(hidden_size, intermediate_size, bias=bias)
        self.down = Linear(intermediate_size, hidden_size, bias=bias)
        self.activation = ACTIVATIONS[activation]

    def forward(
        self, x: Float[Tensor, "batch time hidden"], hooks: BlockHooks | None = None
    ) -> Float[Tensor, "batch time hidden"]:
        """down(activation(gate(x)) * up(x)); points ``mlp.hook_pre`` (the gate), ``mlp.hook_pre_linear`` and
        ``mlp.hook_post``."""
        if hooks is None:
            out: Tensor = self.down(self.activation(self.gate(x)) * self.up(x))
            return out
        gated = self.activation(hooks("mlp.hook_pre", self.gate(x))) * hooks("mlp.hook_pre_linear", self.up(x))
        mlp_out: Tensor = self.down(hooks("mlp.hook_post", gated))
        return mlp_out


def dropout(probability: float) -> nn.Module:
    """Dropout, or nothing at all where there is none."""
    return nn.Dropout(probability) if probability else torch.nn.Identity()


@contextlib.contextmanager
def without_dropout(parts: Iterable[nn.Module]) -> Iterator[None]:
    """Let parts of a network that trains compute as in evaluation."""
    modes = [(module, module.training) for part in parts for module in part.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, was_training in modes:
            module.training = was_training
