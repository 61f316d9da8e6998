"""Layers whose weights are left to the model.

torch fills a layer's weights as it makes it, only for the model to fill them again or to put a file's in their place:
half a second for GPT-2. On the device ``meta`` it is a second and a half, for what torch loads there to do nothing.
"""

from torch import nn


class Linear(nn.Linear):
    """torch's, its weights not yet filled."""

    def reset_parameters(self) -> None:
        """Leave them to the model's ``initialise``."""


class Embedding(nn.Embedding):
    """torch's, its weights not yet filled."""

    def reset_parameters(self) -> None:
        """Leave them to the model's ``initialise``."""
