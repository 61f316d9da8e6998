"""A GPT's positions over a longer context, by how it knows them."""

from typing import TYPE_CHECKING, Any

from torch import nn

from textwright.core.config import changed
from textwright.models.layers.linear import Embedding
from textwright.models.layers.positions import SinusoidalPositions, interpolated_positions, stretched_theta

if TYPE_CHECKING:
    from textwright.models.gpt.network import GPT


def stretch_positions(network: "GPT", context_length: int) -> None:
    """Give a GPT positions for more tokens, in place.

    Learned ones are interpolated, rotary ones get a greater base; sinusoidal ones go on as they are defined, and where
    there are none nothing is to be done.

    Args:
        network: the model.
        context_length: at least its own.

    Raises:
        InputError: a length beyond what a config takes.
    """
    config, changes = network.config, dict[str, Any](context_length=context_length)
    if config.position_encoding == "rotary":
        scale = context_length / config.context_length
        changes["rope_theta"] = stretched_theta(config.rope_theta, config.head_dim, scale)
    longer = changed(config, changes, "the longer context")
    if config.position_encoding == "learned":
        assert network.position_embedding is not None
        before = network.position_embedding.get_parameter("weight")
        table = Embedding(context_length, config.hidden_size, device=before.device, dtype=before.dtype)
        weight = interpolated_positions(before.detach(), context_length)
        table.weight = nn.Parameter(weight, requires_grad=before.requires_grad)
        network.position_embedding = table
    elif config.position_encoding == "sinusoidal":
        table_of_waves = SinusoidalPositions(context_length, config.hidden_size)
        network.position_embedding = table_of_waves.to(network.device, network.token_embedding.weight.dtype)
    network.config = longer
