"""Norms over the last dimension."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textwright.models.config import GPTConfig


class RMSNorm(nn.Module):
    """Scale to a root mean square of 1, then by a learned gain. Computed in float32, whatever comes in.

    Source: Zhang and Sennrich 2019 (arXiv:1910.07467).
    """

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Float[Tensor, "*places width"]) -> Float[Tensor, "*places width"]:
        """x / rms(x) * gain"""
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.epsilon).to(x.dtype)


def make_norm(config: GPTConfig) -> nn.Module:
    """The family's norm: RMSNorm for ``qwen3``, else LayerNorm.

    Source: Ba et al. 2016 (arXiv:1607.06450), for LayerNorm.
    """
    if config.family == "qwen3":
        return RMSNorm(config.hidden_size, config.norm_eps)
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps)
