"""How a model knows where a token stands."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn


class SinusoidalPositions(nn.Module):
    """Fixed waves of geometrically growing length, one position a row.

    Computed, not learned, so it is no part of the saved weights.

    Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, context_length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("weight", sinusoidal_table(context_length, width), persistent=False)

    def forward(self, position_ids: Int[Tensor, "*places"]) -> Float[Tensor, "*places width"]:
        """The rows of the table at these positions."""
        table: Tensor = self.get_buffer("weight")
        return table[position_ids]


def sinusoidal_table(context_length: int, width: int) -> Float[Tensor, "context width"]:
    """sin in even columns, cos in odd ones, float32."""
    position = torch.arange(context_length, dtype=torch.float32)[:, None]
    frequency = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    table = torch.zeros(context_length, width)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)[:, : width // 2]
    return table


def interpolated_positions(table: Float[Tensor, "context width"], context_length: int) -> Float[Tensor, "longer width"]:
    """A table of position vectors stretched over more positions: what lies between two is mixed of both.

    ::

        old   0     1     2     3
        new   0  1  2  3  4  5  6        the first and the last stay what they were

    Source: as for images, Dosovitskiy et al. 2021 (arXiv:2010.11929), section 3.2; that positions squeezed into the
    range that was trained are learned sooner than new ones: Chen et al. 2023 (arXiv:2306.15595), section 2.3.
    """
    stretched = F.interpolate(table.float().t()[None], size=context_length, mode="linear", align_corners=True)
    return stretched[0].t().contiguous().to(table.dtype)


def stretched_theta(theta: float, head_dim: int, scale: float) -> float:
    """The base of rotary positions for a context ``scale`` times as long.

    The slowest pair turns ``scale`` times as slowly, so that it sees no angle that it was not trained on; the fastest
    turns as before, so that near tokens stay as far apart as they were. In between it goes from one to the other.

    Args:
        theta: the base it was trained with.
        head_dim: width of a head; one of 2 has the fastest pair alone, which no base changes.
        scale: at least 1.

    Source: "NTK-aware" scaling, Peng et al. 2023 (arXiv:2309.00071), section 3.1:
    theta' = theta * scale ** (head_dim / (head_dim - 2)).
    """
    return theta * scale ** (head_dim / (head_dim - 2)) if head_dim > 2 else theta


class RopeTable(NamedTuple):
    """Cosines and sines by which queries and keys are rotated, float32 [batch, 1, time, head_dim]."""

    cos: Tensor
    sin: Tensor


def rope_table(position_ids: Int[Tensor, "batch time"], head_dim: int, theta: float) -> RopeTable:
    """The rotation of each position.

    Computed afresh rather than kept as a buffer: a buffer would lose its float32 when the model is cast.

    Source: Su et al. 2021 (arXiv:2104.09864), in the half-and-half layout of most checkpoints.
    """
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32, device=position_ids.device) / head_dim
    angle = position_ids[:, None, :, None].float() / theta**exponent  # [batch, 1, time, head_dim / 2]
    angle = torch.cat([angle, angle], dim=-1)  # [batch, 1, time, head_dim]
    return RopeTable(angle.cos(), angle.sin())


def apply_rope(
    x: Float[Tensor, "batch heads time head_dim"], table: RopeTable
) -> Float[Tensor, "batch heads time head_dim"]:
    """Rotate each pair (x[i], x[i + head_dim / 2]) by its position's angle."""
    first, second = x.float().chunk(2, dim=-1)
    rotated = torch.cat([-second, first], dim=-1)
    return (x * table.cos + rotated * table.sin).to(x.dtype)
