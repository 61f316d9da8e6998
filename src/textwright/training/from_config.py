"""What a training config names, made: the source of batches, and a model with its loss."""

import torch

from textwright.core.seeds import hash_u64
from textwright.data.dataset import TokenDataset
from textwright.data.sources.base import BatchSource
from textwright.data.sources.catalog import find_source
from textwright.models.network import Network
from textwright.training.config import TrainConfig
from textwright.training.losses.catalog import read_objective
from textwright.training.model_with_loss import ModelWithLoss


def make_batches(tokens: TokenDataset, config: TrainConfig, context_length: int) -> BatchSource:
    """The source of batches that a config describes.

    Args:
        tokens: the text.
        config: given or resolved.
        context_length: tokens of a row, where the config does not say.

    Raises:
        InputError: nothing packs by that name, or the text is too short for one row.
    """
    length = config.sequence_length or context_length
    make = find_source(config.packing)
    return make(tokens, batch_size=config.batch_size, sequence_length=length, seed=config.seed)


def add_loss(model: Network, config: TrainConfig) -> ModelWithLoss:
    """The model and what it learns, on the model's device. Weights of the objective's own depend on the seed alone.

    Raises:
        InputError: no objective has that name, or the model does not offer what it needs.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(hash_u64("objective", config.seed))
        objective = read_objective(config.objective).build(model)
    return ModelWithLoss(model, objective.to(model.device))
