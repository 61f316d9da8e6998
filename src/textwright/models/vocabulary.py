"""More tokens than a model was trained with: new rows of its tables, which begin as the mean of all others."""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from textwright.core.config import changed
from textwright.core.errors import InputError
from textwright.models.language_model import LanguageModel
from textwright.models.layers.linear import Linear


@runtime_checkable
class ExtensibleVocabulary(Protocol):
    """A network that tells which of its layers know tokens one by one."""

    def vocabulary_layers(self) -> tuple[nn.Embedding | nn.Linear, ...]:
        """The layers whose weights have a row for each token, and nothing else that has: embeddings, and a head of its
        own."""


def extend_vocabulary(network: LanguageModel, num_tokens: int, *, num_known: int) -> None:
    """Make room for the tokens that a tokenizer got after its model was trained, in place.

    Each new row is the mean of those that mean something. So a new token's logit is the mean of the others': it is at
    most as probable as they are on average, and k new tokens raise the loss on old text by at most log(1 + k / n), with
    n known ones. All begin alike, and part with the first step, since each stands in other places; noise would only
    loosen that bound.

    Rows that a model has beyond its tokenizer, to be a round number, are used first.

    It may replace parameters, so it comes before whatever holds them, such as an optimizer. A ``Model`` that has
    written text with the network is told by ``Model.changed``.

    Args:
        network: the model.
        num_tokens: ``vocab_size`` of the tokenizer with the new tokens.
        num_known: ``vocab_size`` of the tokenizer without them.

    Raises:
        InputError: numbers that do not fit each other or the model, or a family whose tables do not grow.

    Source: Hewitt 2021, "Initializing new word embeddings for pretrained language models", for the mean and its bound.
    """
    if not 1 <= num_known <= min(num_tokens, network.vocab_size):
        given = f"{num_known:,} known tokens of {num_tokens:,}, for a model of {network.vocab_size:,}"
        raise InputError(given, expected="at least 1, and no more than the model and the tokenizer have")
    if not isinstance(network, ExtensibleVocabulary):
        raise InputError(
            f"new tokens for a {network.config.family} model", expected="a family with a row of weights for each token"
        )
    if num_tokens == num_known:
        return
    vocab_size = max(num_tokens, network.vocab_size)
    longer = changed(network.config, {"vocab_size": vocab_size}, "the longer vocabulary")
    for layer in network.vocabulary_layers():
        before = layer.weight
        weight = _extended(before.detach(), num_known, num_tokens, vocab_size)
        layer.weight = nn.Parameter(weight, requires_grad=before.requires_grad)
        if isinstance(layer, nn.Embedding):
            layer.num_embeddings = vocab_size
        else:
            layer.out_features = vocab_size
        if isinstance(layer, Linear):
            layer.splits = (vocab_size,)
    network.config = longer


def _extended(table: Tensor, num_known: int, num_tokens: int, vocab_size: int) -> Tensor:
    """The known rows, the new ones, and what is left of those to spare."""
    mean = table[:num_known].mean(dim=0, dtype=torch.float64).to(table.dtype)
    new = mean.expand(num_tokens - num_known, -1)
    return torch.cat([table[:num_known], new, table[num_tokens:vocab_size]])
