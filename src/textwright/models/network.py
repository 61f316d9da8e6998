"""What every family's network is to those who build it, train it and save it."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from textwright.models.config import ModelConfig


class Network(nn.Module, ABC):
    """A network and its config. What it can do is told by the protocols that it offers; see ``models.protocols``."""

    config: ModelConfig

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def num_layers(self) -> int:
        """Number of blocks that take equal memory and time; 1 where a family has none."""
        return 1

    @abstractmethod
    def init_weights(self, generator: torch.Generator) -> None:
        """Give every matrix its value before training, drawn from the generator: until then they hold anything."""

    def hidden_matrices(self) -> dict[str, nn.Linear]:
        """The layers, by name, whose matrices lie between hidden states: not embeddings, not what meets tokens.

        Muon moves these. A matrix that is several stacked ones says so by ``splits``; see ``layers.linear``.
        """
        return {name: module for name, module in self.named_modules() if isinstance(module, nn.Linear)}

    def compile_for_training(self) -> None:
        """Compile what a training step spends its time in, with torch.compile; evaluating and decoding stay.

        A family for which that is of no use leaves it out.
        """

    def enable_activation_checkpointing(self) -> None:
        """Keep only what goes into each block for the backward pass, and compute the rest again there.

        A family that cannot leaves it out, and keeps everything.
        """

    def end_training(self) -> None:
        """Undo ``compile_for_training`` and ``enable_activation_checkpointing``: they belong to a run."""

    def exported_tensors(self) -> dict[str, Tensor]:
        """What a model folder holds, by name: the state, and what other programs keep as weights."""
        return {name: value.detach() for name, value in self.state_dict().items()}
