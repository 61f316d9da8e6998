"""Whether what a run freezes can be kept, and what it takes: seen before the first step."""

import shutil
from pathlib import Path

from textwright.core.errors import InputError
from textwright.data.sources.base import BatchSource, RepeatedRows
from textwright.models.language_model import LanguageModel
from textwright.models.layer_groups import lowest_trained
from textwright.models.network import Network
from textwright.models.protocols import SplitBackbone
from textwright.training.config import TrainConfig
from textwright.training.frozen_states import FrozenStates, stored_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.strategies import MODEL

OPTION = "--cache-frozen"
MAX_DISK_FRACTION = 0.5
"""Of what is free on the disk."""


def cache_frozen(
    model_with_loss: ModelWithLoss, batches: BatchSource, config: TrainConfig, folder: Path
) -> FrozenStates:
    """A place for what enters the lowest block that a run trains.

    Args:
        model_with_loss: with all weights that will be trained; not marked yet.
        batches: what is learned from.
        config: of the run.
        folder: of the run.

    Raises:
        InputError: nothing of it would be the same each time, or the disk has no room.
    """
    network = model_with_loss.model
    if not (isinstance(network, LanguageModel) and isinstance(network, SplitBackbone)):
        raise InputError(
            f"{OPTION} with a {network.config.family} model", expected="a family that offers it", fix="leave it out"
        )
    if next(iter(model_with_loss.objective.teachers()), None) is not None:
        expected = "an objective without a teacher, which reads all of a text itself"
        raise InputError(f"{OPTION} with a teacher", expected=expected, fix="leave it out")
    groups = network.layer_groups()
    trained = {name.removeprefix(MODEL) for name in model_with_loss.ever_trained(config.parameter_plan)}
    block = sum(group.kind == "block" for group in groups[: lowest_trained(groups, trained)])
    if not block:
        raise trains_from_the_bottom()
    num_samples = batches.num_samples if isinstance(batches, RepeatedRows) else None
    if num_samples is None:
        raise rows_that_differ(config.packing)
    steps = config.steps
    num_read = num_samples if steps is None else min(num_samples, steps * config.batch_size)
    row_shape = config.sequence_length or network.context_length, network.hidden_size
    needed, free = stored_bytes(num_read, row_shape), shutil.disk_usage(folder).free
    if needed > MAX_DISK_FRACTION * free:
        raise InputError(
            f"{OPTION}: the hidden states of {num_read:,} rows take {needed / 1e6:,.0f} MB",
            where=str(folder),
            expected=f"at most {MAX_DISK_FRACTION * free / 1e6:,.0f} MB, half of what is free there",
            fix="leave it out, give less text, or choose another --out",
        )
    return FrozenStates(
        network, block=block, num_samples=num_samples, num_read=num_read, row_shape=row_shape, folder=folder
    )


def notes_on(states: FrozenStates, network: Network, config: TrainConfig) -> list[str]:
    """What is kept of a frozen part, and what follows from it, in lines for people.

    Args:
        states: the place for it.
        network: that it is of.
        config: of the run.
    """
    where = f"block {states.block}" if states.block < network.num_layers else "the final norm"
    size = f"at most {states.stored_bytes / 1e6:,.0f} MB of disk, until the run ends"
    notes = [f"what enters {where} is kept for each row: {size}"]
    dropouts = {value for name, value in network.config.model_dump().items() if name.startswith("dropout") and value}
    if dropouts:
        notes.append(f"below it there is no dropout (the model has {max(dropouts):g}), or it would differ each time")
    if config.steps is not None and config.steps * config.batch_size <= states.num_samples:
        notes.append(f"hardly a row comes twice in {config.steps:,} steps: {OPTION} saves little")
    return notes


def rows_that_differ(packing: str) -> InputError:
    """The error for a packing whose rows are others in each epoch."""
    given = f"{OPTION} with packing = {packing!r}, whose rows are others in each epoch"
    return InputError(given, expected="rows that come again", fix="use --packing documents")


def trains_from_the_bottom(strategy: str = "") -> InputError:
    """The error for a plan that trains the lowest block, or what is below it, at some time."""
    what = f"with the strategy {strategy!r}" if strategy else "where the lowest block is trained"
    return InputError(
        f"{OPTION} {what}",
        expected="a strategy that never trains the lowest block nor the embeddings, such as last, last:2 or head",
        fix="choose such a one, or leave it out",
    )
