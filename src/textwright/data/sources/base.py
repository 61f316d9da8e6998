"""What training asks of a source of batches, and what is the same for sources of rows."""

import hashlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.world import World
from textwright.data.batch import Batch
from textwright.data.dataset import TokenDataset
from textwright.data.shuffle import shuffled

SINGLE_PROCESS = World()
Integers = npt.NDArray[np.int64]


@runtime_checkable
class BatchSource(Protocol):
    """The batches of a training run: the same for the same step, on any number of ranks."""

    @property
    def fingerprint(self) -> str:
        """What the batches are made of, as a hash: the same fingerprint, the same batches."""

    @property
    def tokens_per_step(self) -> int:
        """Places of a step's rows, over all ranks."""

    @property
    def num_tokens(self) -> int:
        """About what is read when everything was read once."""

    @property
    def stored_bytes(self) -> int:
        """What the tokens take on disk."""

    def batch(self, step: int, world: World = SINGLE_PROCESS) -> Batch:
        """This rank's rows of optimizer step ``step`` (from 0); joined over the ranks they are the whole."""


@runtime_checkable
class RepeatedRows(Protocol):
    """A source whose rows may be the same whenever they are read; its batches have ``sample_ids`` then."""

    @property
    def num_fixed_rows(self) -> int | None:
        """How many different rows there are, numbered from 0; None where an epoch has others than the one before."""


def check_first_batch(source: BatchSource, *, num_rows: int, sequence_length: int, vocab_size: int | None) -> None:
    """See that a source's first batch is one that a model can be trained on.

    Args:
        source: of batches.
        num_rows: of a step.
        sequence_length: places of a row, at most.
        vocab_size: of the model; None where it has no tokens to predict.

    Raises:
        InputError: it is not, by the name of the field.
    """
    where, batch = f"the first batch of {type(source).__name__}", source.batch(0)
    shape = f"{num_rows} x at most {sequence_length}"
    for name in ("input_ids", "target_ids", "loss_weight"):
        value, dtype = getattr(batch, name), torch.float32 if name == "loss_weight" else torch.int64
        found = f"{value.dtype}, {' x '.join(map(str, value.shape))}" if isinstance(value, Tensor) else repr(value)
        fits = isinstance(value, Tensor) and value.ndim == 2 and value.dtype == dtype
        if not (fits and value.shape[0] == num_rows and value.shape[1] <= sequence_length):
            raise InputError(f"{name} is {found}", where=where, expected=f"{dtype}, {shape}")
        if name != "loss_weight" and vocab_size is not None and not (value.min() >= 0 and value.max() < vocab_size):
            ids = f"ids from {value.min()} to {value.max()}"
            raise InputError(f"{name} has {ids}", where=where, expected=f"0 to {vocab_size - 1}, the model's tokens")


class ShuffledRows(ABC):
    """A source of so many rows, all of which are read once an epoch, in an order that differs each epoch.

    Args:
        num_rows: of an epoch.
        batch_size: rows of a step, over all ranks.
        sequence_length: tokens of a row, at most.
        seed: fixes the order.
    """

    repeats_rows: ClassVar[bool] = False
    """Whether a place of the source is the same row in every epoch and every batch."""

    def __init__(self, *, num_rows: int, batch_size: int, sequence_length: int, seed: int) -> None:
        self.num_rows, self.batch_size, self.sequence_length, self.seed = num_rows, batch_size, sequence_length, seed

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """As ``BatchSource``."""

    @property
    @abstractmethod
    def num_tokens(self) -> int:
        """As ``BatchSource``."""

    @property
    def num_fixed_rows(self) -> int | None:
        """As ``RepeatedRows``."""
        return self.num_rows if self.repeats_rows else None

    @property
    def stored_bytes(self) -> int:
        """Nothing, where tokens are in memory."""
        return 0

    @property
    def tokens_per_step(self) -> int:
        """Places of a step's rows."""
        return self.batch_size * self.sequence_length

    def batch(self, step: int, world: World = SINGLE_PROCESS) -> Batch:
        """Ranks get equal shares where ``batch_size`` divides by their number, in order."""
        start, stop = (self.batch_size * rank // world.size for rank in (world.rank, world.rank + 1))
        return self.rows(np.arange(step * self.batch_size + start, step * self.batch_size + stop))

    def rows(self, numbers: Integers) -> Batch:
        """Rows by their number, counted from the first epoch's first on."""
        epochs, places = np.divmod(numbers, self.num_rows)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            places[here] = shuffled(places[here], self.num_rows, hash_u64("order", self.seed, int(epoch)))
        batch = self.make_rows(epochs, places)
        return batch.with_fields(sample_ids=torch.from_numpy(places)) if self.repeats_rows else batch

    @abstractmethod
    def make_rows(self, epochs: Integers, places: Integers) -> Batch:
        """Rows by their epoch and their place in the source."""


class OverTokens:
    """What is the same for sources whose batches are of one stream of tokens."""

    kind: str
    """Tells its batches from those of other sources with the same settings."""
    tokens: TokenDataset
    batch_size: int
    sequence_length: int
    seeds: tuple[int, ...] = ()
    """What fixes an order, where there is one."""

    @property
    def fingerprint(self) -> str:
        """Of the tokens and how they are laid."""
        settings = (self.batch_size, self.sequence_length, *self.seeds)
        return fingerprint_of(self.kind, self.tokens.fingerprint, *settings)

    @property
    def num_tokens(self) -> int:
        """Of the stream."""
        return self.tokens.num_tokens

    @property
    def stored_bytes(self) -> int:
        """Of the stream."""
        return self.tokens.stored_bytes

    @property
    def tokens_per_step(self) -> int:
        """Places of a step's rows."""
        return self.batch_size * self.sequence_length


def weigh_learned(batch: Batch, tokens: TokenDataset, starts: Integers) -> Batch:
    """Rows of a stream, where what is not learned has no weight.

    Args:
        batch: each row a stretch of the stream, padded at its end where it is shorter.
        tokens: the stream.
        starts: where each row's first input lies in it.
    """
    if tokens.learned is None:
        return batch
    is_learned = tokens.learned.contain(starts[:, None] + np.arange(1, batch.time + 1))
    return batch.with_fields(loss_weight=batch.loss_weight * torch.from_numpy(is_learned))


def fingerprint_of(*parts: Any) -> str:
    """The hash of plain values, in their order."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()
