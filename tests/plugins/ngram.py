"""A family as a stranger would add it: a bigram that counts, with no gradient, no backbone and no weight to train."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self

import torch
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.config import ModelConfig
from textwright.models.family import Family
from textwright.models.network import Network
from textwright.models.protocols import Cache, Conditioning, T


class BigramConfig(ModelConfig):
    """The shape of a bigram."""

    family: Literal["toy-bigram"] = "toy-bigram"
    added: float = 1.0
    """What every pair is counted more often than it was seen."""


class NumbersRead:
    """A bigram remembers no more than how much it has read: what comes next follows from the token just read."""

    def __init__(self, num_slots: int) -> None:
        self.lengths = [0] * num_slots

    @property
    def num_slots(self) -> int:
        return len(self.lengths)

    def length(self, slot: int) -> int:
        return self.lengths[slot]

    def bytes_for(self, length: int) -> int:
        return 8

    def crop(self, slot: int, length: int) -> None:
        self.lengths[slot] = length

    def fork(self, source: int, target: int, *, start: int = 0, length: int | None = None) -> None:
        self.lengths[target] = self.lengths[source] if length is None else length

    def put(self, slot: int, other: Self) -> None:
        self.lengths[slot] = other.lengths[0]


class Bigram(Network):
    """Decodes and is scored: ``extend`` says which token was read, ``logits`` what followed it."""

    config: BigramConfig
    can_crop = True
    conditioning: Conditioning | None = None
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

    def run(self, work: Callable[[], T]) -> T:
        return work()

    def empty_cache(self, num_slots: int, source: Batch | None = None) -> NumbersRead:
        return NumbersRead(num_slots)

    def extend(self, ids: Tensor, lengths: Sequence[int], cache: Cache, slots: Sequence[int]) -> Tensor:
        assert isinstance(cache, NumbersRead)
        for slot, length in zip(slots, lengths, strict=True):
            cache.lengths[slot] += length
        return ids[..., None].float()

    def logits(self, hidden: Tensor) -> Tensor:
        return (self.counts + self.config.added).log()[hidden[..., 0].long()]


FAMILY = Family(BigramConfig, "tests.plugins.ngram:Bigram")
