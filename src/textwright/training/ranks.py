"""What several processes that train together must agree on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.core.world import World
from textwright.training.config import TrainConfig
from textwright.training.model_with_loss import ModelWithLoss


def check_world(config: TrainConfig, world: World) -> None:
    """See that a run can be several ranks' work.

    Raises:
        InputError: its steps are to be found by a clock, which ranks do not share, or some rank would have no row.
    """
    if world.size > 1 and config.minutes is not None:
        raise InputError(f"minutes = {config.minutes:g} on {world.size} ranks", expected="steps", fix="give --steps")
    if config.batch_size < world.size:
        raise InputError(f"batch_size = {config.batch_size} on {world.size} ranks", expected="a row for each, or more")


def check_buffers(model_with_loss: ModelWithLoss, world: World) -> None:
    """See that what a checkpoint of the first rank would hold is what all ranks have.

    Raises:
        InputError: a state that is carried from step to step, such as a lane's, is each rank's own.
    """
    if world.size == 1:
        return
    parameters = model_with_loss.own_parameters()
    buffers = {name: value for name, value in model_with_loss.saved_state().items() if name not in parameters}
    sums = {name: float(value.double().sum()) for name, value in buffers.items()}
    for other in world.gather(sums):
        for name, value in other.items():
            if value != sums[name]:
                raise InputError(f"{name} differs between ranks", expected="one for all", fix="train on one rank")


def reduce_gradients(
    gradients: dict[Tensor, Tensor], parameters: Sequence[Tensor], world: World
) -> dict[Tensor, Tensor]:
    """The gradients of the whole step: each the sum of all ranks', in float32. What has none anywhere has none here.

    Args:
        gradients: by parameter, each divided by the denominators of the whole step already.
        parameters: all that are trained, in the same order on every rank.
        world: the ranks.
    """
    if world.size == 1:
        return gradients
    has_one = torch.tensor([float(p in gradients) for p in parameters], device=parameters[0].device)
    world.add([has_one])
    with_one = [parameter for parameter, number in zip(parameters, has_one.tolist(), strict=True) if number]
    found = {p: gradients[p] if p in gradients else torch.zeros_like(p) for p in with_one}
    world.add(list(found.values()))
    return found
