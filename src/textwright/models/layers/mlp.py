"""What a block does to each token alone."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textwright.models.config import GPTConfig
from textwright.models.layers.linear import Linear


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": _gelu_tanh,
    "gelu": F.gelu,
    "relu": F.relu,
    "silu": F.silu,
}


class MLP(nn.Module):
    """Widen, bend, narrow."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up = Linear(config.hidden_size, config.intermediate_size)
        self.down = Linear(config.intermediate_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Float[Tensor, "rows time width"]) -> Float[Tensor, "rows time width"]:
        """down(activation(up(x)))"""
        narrowed: Tensor = self.down(self.activation(self.up(x)))
        return narrowed


class GatedMLP(nn.Module):
    """Widen twice, let one gate the other, narrow. Without biases.

    Source: Shazeer 2020 (arXiv:2002.05202), SwiGLU when the activation is silu.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.gate = Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up = Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down = Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Float[Tensor, "rows time width"]) -> Float[Tensor, "rows time width"]:
        """down(activation(gate(x)) * up(x))"""
        narrowed: Tensor = self.down(self.activation(self.gate(x)) * self.up(x))
        return narrowed


def make_mlp(config: GPTConfig) -> nn.Module:
    """The family's MLP."""
    return GatedMLP(config) if config.family == "qwen3" else MLP(config)


def dropout(probability: float) -> nn.Module:
    """Dropout, or nothing at all where there is none."""
    return nn.Dropout(probability) if probability else torch.nn.Identity()
