"""A layer as a stranger would add it: a linear layer with a low-rank correction beside its matrix.

Source: Hu et al. 2021 (arXiv:2106.09685).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textwright.models.gpt.network import GPT
from textwright.models.layers.linear import Linear


class LoRALinear(Linear):
    """Takes another linear layer's place, weights and all; its own two matrices are for AdamW, not for Muon."""

    def __init__(self, layer: Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__(layer.in_features, splits=layer.splits, bias=layer.bias is not None)
        self.weight, self.bias = layer.weight, layer.bias
        self.lora_a = nn.Parameter(torch.randn(rank, layer.in_features, generator=generator) / rank)
        self.lora_b = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + F.linear(F.linear(x, self.lora_a), self.lora_b)


def add_lora(model: GPT, rank: int, seed: int = 0) -> GPT:
    """The model with such a layer for queries, keys and values in every block."""
    generator = torch.Generator().manual_seed(seed)
    for block in model.blocks:
        block.attention.qkv = LoRALinear(block.attention.qkv, rank, generator)
    return model
