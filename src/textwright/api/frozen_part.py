"""``--cache-frozen``: what it asks of a fine-tuning, said before a model is taught, and done where it is."""

from collections.abc import Callable

from textwright.api.config import FineTuneOptions, FitConfig
from textwright.data.sources.base import BatchSource
from textwright.models.catalog import build_uninitialised
from textwright.models.config import ModelConfig
from textwright.models.language_model import as_language_model
from textwright.models.network import Network
from textwright.runs.run_folder import Run
from textwright.training.cache_frozen import cache_frozen, notes_on, rows_that_differ, trains_from_the_bottom
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.strategies import num_frozen_blocks, parse_strategy

STREAM = "none"
"""The packing whose rows begin elsewhere in each epoch."""


def check_cache_frozen(options: FineTuneOptions, num_blocks: int) -> None:
    """See that what is frozen can be kept, as far as options tell.

    Args:
        options: of the fine-tuning.
        num_blocks: of the model.

    Raises:
        InputError: it cannot.
    """
    if not options.cache_frozen:
        return
    strategy = parse_strategy(options.strategy)
    if not options.training.parameter_plan and not num_frozen_blocks(strategy, num_blocks):
        raise trains_from_the_bottom(str(strategy))
    if options.training.packing == STREAM:
        raise rows_that_differ(STREAM)


def kept_width(options: FineTuneOptions, shape: ModelConfig) -> int | None:
    """How many numbers are kept of each token of a row; None where the options ask for none.

    Args:
        options: of the fine-tuning.
        shape: of the model, whose weights are not needed.

    Raises:
        InputError: see ``check_cache_frozen``.
    """
    if not options.cache_frozen:
        return None
    network = as_language_model(build_uninitialised(shape))
    check_cache_frozen(options, network.num_layers)
    return network.hidden_size


def fit_model_with_loss(
    network: Network,
    batches: BatchSource,
    config: FitConfig,
    training: TrainConfig,
    run: Run | None,
    note: Callable[[str], None],
) -> ModelWithLoss:
    """A network and what it learns, with a place for what is frozen where the config asks for it.

    Args:
        network: with its adapters.
        batches: what is learned from.
        config: of the fine-tuning.
        training: of it, as it is begun.
        run: its folder.
        note: gets lines for people.

    Raises:
        InputError: see ``training.cache_frozen``.
    """
    model_with_loss = add_loss(network, training)
    if config.cache_frozen and run is not None:
        model_with_loss.frozen_states = cache_frozen(model_with_loss, batches, training, run.folder)
        for line in notes_on(model_with_loss.frozen_states, network, training):
            note(line)
    return model_with_loss
