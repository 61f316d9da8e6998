"""A family as a stranger would add it: a bigram that counts, with no gradient, no backbone and no weight to train."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from textwright.models.config import ModelConfig
from textwright.models.family import Family
from textwright.models.network import Network


class BigramConfig(ModelConfig):
    """The shape of a bigram."""

    family: Literal["toy-bigram"] = "toy-bigram"
    added: float = 1.0
    """What every pair is counted more often than it was seen."""


@dataclass
class NumberRead:
    """A bigram remembers no more than how much it has read: what comes next follows from the token just read."""

    lengths: Tensor

    @property
    def size_bytes(self) -> int:
        return self.lengths.nbytes

    def select(self, rows: Sequence[int] | Tensor) -> Self:
        return type(self)(self.lengths[rows])

    def concat(self, other: Self) -> Self:
        return type(self)(torch.cat([self.lengths, other.lengths]))

    def crop(self, lengths: Tensor) -> Self:
        return type(self)(lengths)


class Bigram(Network):
    """Decodes and is scored: ``extend`` says which token was read, ``logits`` what followed it."""

    config: BigramConfig
    can_crop = True
    hidden_size = 1
    counts: Tensor

    def __init__(self, config: BigramConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("counts", torch.zeros(config.vocab_size, config.vocab_size))

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size

    @property
    def context_length(self) -> int:
        return self.config.context_length

    def init_weights(self, generator: torch.Generator) -> None:
        self.counts.zero_()

    def count(self, documents: Iterable[Sequence[int]]) -> None:
        """Learn from token ids."""
        for ids in documents:
            pairs = torch.tensor(ids)
            self.counts.index_put_((pairs[:-1], pairs[1:]), torch.tensor(1.0), accumulate=True)

    def at_work(self) -> AbstractContextManager[None]:
        return nullcontext()

    def empty_cache(self, batch_size: int) -> NumberRead:
        return NumberRead(torch.zeros(batch_size, dtype=torch.int64))

    def extend(self, ids: Tensor, lengths: Tensor, state: NumberRead) -> tuple[Tensor, NumberRead]:
        return ids[..., None].float(), NumberRead(state.lengths + lengths)

    def logits(self, hidden: Tensor) -> Tensor:
        return (self.counts + self.config.added).log()[hidden[..., 0].long()]


FAMILY = Family(BigramConfig, "tests.plugins.ngram:Bigram")
