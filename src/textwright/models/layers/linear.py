"""Layers whose weights are left to the model.

torch fills a layer's weights as it makes it, only for the model to fill them again or to put a file's in their place:
half a second for GPT-2. On the device ``meta`` it is a second and a half, for what torch loads there to do nothing.
"""

from torch import nn


class Linear(nn.Linear):
    """torch's, its weights not yet filled; it may be several matrices stacked, such as those of queries, keys, values.

    Args:
        in_features: columns.
        out_features: rows; the sum of ``splits`` when not given.
        bias: whether it has one.
        splits: rows of each of the matrices stacked in it, for optimizers that treat each by itself.
    """

    def __init__(
        self, in_features: int, out_features: int = 0, *, bias: bool = True, splits: tuple[int, ...] = ()
    ) -> None:
        self.splits = splits or (out_features,)
        super().__init__(in_features, sum(self.splits), bias=bias)

    def reset_parameters(self) -> None:
        """Leave them to the model's ``init_weights``."""


class Embedding(nn.Embedding):
    """torch's, its weights not yet filled."""

    def reset_parameters(self) -> None:
        """Leave them to the model's ``init_weights``."""
