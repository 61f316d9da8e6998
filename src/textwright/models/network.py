"""What every family's network is to those who build it, train it and save it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from textwright.models.config import ModelConfig
from textwright.models.layer_groups import LayerGroup
from textwright.models.layers.linear import Linear
from textwright.models.layers.low_rank import merged_state


class Network(nn.Module, ABC):
    """A network and its config. What it can do is told by the protocols that it offers; see ``models.protocols``."""

    config: ModelConfig
    foreign_config: Mapping[str, Any] | None = None
    """The ``config.json`` that the network was read from, if any: what it says beside ``config`` is kept on saving."""

    @property
    def device(self) -> torch.device:
        """Where the weights are; on the CPU where there are none, such as in a table of counts."""
        first = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if first is None else first.device

    @property
    def num_layers(self) -> int:
        """Number of blocks that take equal memory and time; 1 where a family has none."""
        return 1

    @abstractmethod
    def init_weights(self, generator: torch.Generator) -> None:
        """Give every matrix its value before training, drawn from the generator: until then they hold anything."""

    def hidden_matrices(self) -> dict[str, tuple[int, ...]]:
        """The matrices that lie between hidden states: not embeddings, not what meets tokens. Muon moves these.

        Returns:
            By name, for each the rows of the matrices stacked in it, as its layer declares them; see ``layers.linear``.
        """
        return {
            f"{name}.weight": module.splits if isinstance(module, Linear) else (module.out_features,)
            for name, module in self.named_modules()
            if isinstance(module, nn.Linear)
        }

    def layer_groups(self) -> tuple[LayerGroup, ...]:
        """The parts that are trained or frozen as one, from the bottom up: what strategies of fine-tuning go by.

        Embeddings (positions among them), blocks, the final norm, the head; every weight is in exactly one. A head that
        is the embedding is no part of its own. A family without such parts leaves it out, and has none.
        """
        return ()

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Keep copies in this type of frozen weights that are used in it by more than their own layer.

        Those of plain linear layers are kept by whoever trains. A family without such weights leaves it out.
        """

    def compile_for_training(self) -> None:
        """Compile what a training step spends its time in, with torch.compile; evaluating and decoding stay.

        A family for which that is of no use leaves it out.
        """

    def enable_activation_checkpointing(self) -> None:
        """Keep only what goes into each block for the backward pass, and compute the rest again there.

        A family that cannot leaves it out, and keeps everything.
        """

    def end_training(self) -> None:
        """Undo ``compile_for_training``, ``enable_activation_checkpointing`` and ``cast_frozen``: they are a run's."""

    def exported_tensors(self) -> dict[str, Tensor]:
        """What a model folder holds, by name: the state, and what other programs keep as weights.

        It is that of a plain network: adapters of low rank are folded in.
        """
        return {name: value.detach() for name, value in merged_state(self).items()}
