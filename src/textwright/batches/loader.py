"""Batches as a pure function of (seed, step): nothing to save, nothing to rewind, the same on any number of ranks."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from textwright.batches.batch import PADDING, Batch
from textwright.batches.shards import Tokens
from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.world import World

ALONE = World()
FEISTEL_ROUNDS = 4


class Loader:
    """The batches of a training run.

    ``windows``: rows are cut from the stream, every token once an epoch (but for less than two rows at its ends)::

        the stream   t h e | a t o m | o f | ...
        rows         [t h e | a] [t o m | o] ...    in an order that differs each epoch

    ``packed``: documents are laid whole into rows and do not see each other; longer ones are cut. Each is read from
    the end token on, so that its first token is learned too::

        inputs       | t h e   | a t o m            (| is the end token)
        targets      t h e |   a t o m |

    Args:
        tokens: the stream.
        rows: rows of a step, over all ranks.
        time: tokens of a row.
        seed: fixes the order.
        layout: ``windows`` or ``packed``.

    Raises:
        InputError: ``windows`` over a stream that is shorter than one row.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        rows: int,
        time: int,
        seed: int = 0,
        layout: Literal["windows", "packed"] = "windows",
    ) -> None:
        self.tokens, self.rows, self.time, self.seed = tokens, rows, time, seed
        self._source: _Windows | _Packed = (
            _Windows(tokens, time, seed) if layout == "windows" else _Packed(tokens, time, seed)
        )

    @property
    def tokens_per_step(self) -> int:
        """Places of a step's rows."""
        return self.rows * self.time

    def batch(self, step: int, world: World = ALONE) -> Batch:
        """The rows of optimizer step ``step`` (from 0) that are this rank's.

        Ranks get equal shares where ``rows`` divides by their number, in order: joined they are the whole.
        """
        start, stop = (self.rows * rank // world.size for rank in (world.rank, world.rank + 1))
        rows = np.arange(step * self.rows + start, step * self.rows + stop)
        epochs, places = np.divmod(rows, self._source.num_rows)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            places[here] = shuffled(places[here], self._source.num_rows, hash_u64("order", self.seed, int(epoch)))
        return self._source.batch(list(zip(epochs.tolist(), places.tolist(), strict=True)))


class _Windows:
    """Rows cut from the stream. Each epoch starts a little elsewhere, so that borders move."""

    def __init__(self, tokens: Tokens, time: int, seed: int) -> None:
        if tokens.num_tokens < time + 1:
            raise InputError(
                f"the text has {tokens.num_tokens:,} tokens",
                expected=f"at least {time + 1:,}, one row and what follows it",
                fix="give more text, or a smaller --model.context-length",
            )
        self.tokens, self.time, self.seed = tokens, time, seed
        fit = (tokens.num_tokens - 1) // time
        self.num_rows = max(1, fit - 1)
        self._slack = tokens.num_tokens - 1 - self.num_rows * time

    def batch(self, rows: list[tuple[int, int]]) -> Batch:
        ids = np.empty((len(rows), self.time + 1), dtype=np.int64)
        for index, (epoch, row) in enumerate(rows):
            start = hash_u64("offset", self.seed, epoch) % (self._slack + 1) + row * self.time
            ids[index] = self.tokens.read(start, start + self.time + 1)
        return Batch.from_ids(torch.from_numpy(ids))


class _Packed:
    """Documents laid into rows one after the other, in an order fixed by the seed; rows are shuffled each epoch."""

    def __init__(self, tokens: Tokens, time: int, seed: int) -> None:
        self.tokens, self.time = tokens, time
        starts = np.concatenate([[0], tokens.document_ends[:-1]])
        lengths = tokens.document_ends - starts
        # A document longer than a row becomes several pieces; only its first is read from the end token on.
        counts = -(-lengths // time)
        document = np.repeat(np.arange(len(lengths)), counts)
        piece = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        starts, is_first = starts[document] + piece * time, piece == 0
        lengths = np.minimum(time, tokens.document_ends[document] - starts)
        order = shuffled(np.arange(len(starts)), len(starts), hash_u64("packing", seed))
        self._starts, self._lengths, self._is_first = starts[order], lengths[order], is_first[order]
        self._rows = self._lay_out()
        self.num_rows = len(self._rows) - 1
        self._end_id = int(tokens.read(tokens.num_tokens - 1, tokens.num_tokens)[0])

    def _lay_out(self) -> list[int]:
        """The first piece of each row, and the number of pieces: each row takes pieces while they fit."""
        filled = np.concatenate([[0], np.cumsum(self._lengths)])
        firsts = [0]
        while firsts[-1] < len(self._lengths):
            firsts.append(int(np.searchsorted(filled, filled[firsts[-1]] + self.time, side="right")) - 1)
        return firsts

    def batch(self, rows: list[tuple[int, int]]) -> Batch:
        shape = (len(rows), self.time)
        inputs, targets, positions = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        documents = np.full(shape, PADDING, dtype=np.int64)
        for index, (_, row) in enumerate(rows):
            place = 0
            for document, piece in enumerate(range(self._rows[row], self._rows[row + 1])):
                start, length = int(self._starts[piece]), int(self._lengths[piece])
                here = slice(place, place + length)
                targets[index, here] = self.tokens.read(start, start + length)
                inputs[index, place + 1 : place + length] = targets[index, place : place + length - 1]
                inputs[index, place] = self._end_id if self._is_first[piece] else self.tokens.read(start - 1, start)[0]
                documents[index, here], positions[index, here] = document, np.arange(length)
                place += length
        is_real = torch.from_numpy(documents != PADDING)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            is_real.float(),
            torch.from_numpy(documents),
            torch.from_numpy(positions),
        )


def shuffled(places: npt.NDArray[np.int64], count: int, key: int) -> npt.NDArray[np.int64]:
    """Where a shuffle of 0 .. count - 1 puts ``places``, without making the shuffle: a keyed permutation.

    A Feistel network over the next even power of two, walked until it falls inside the range.

    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 5 and cycle walking.
    """
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    shift = np.uint64(half)
    found = places.astype(np.uint64)
    outside = np.ones(len(found), dtype=bool)
    while outside.any():
        left, right = found[outside] >> shift, found[outside] & mask
        for round_number in range(FEISTEL_ROUNDS):
            left, right = right, left ^ (_mix(right + np.uint64(hash_u64(key, round_number) >> 1)) & mask)
        found[outside] = (left << shift) | right
        outside = found >= count
    return found.astype(np.int64)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def evaluation_batches(tokens: Tokens, *, rows: int, time: int) -> Iterator[Batch]:
    """The stream from its start to its end in rows: each token but the very first is predicted exactly once."""
    starts = range(0, tokens.num_tokens - 1, time)
    for first in range(0, len(starts), rows):
        chosen = [
            tokens.read(start, min(start + time + 1, tokens.num_tokens)) for start in starts[first : first + rows]
        ]
        if all(len(row) == time + 1 for row in chosen):
            yield Batch.from_ids(torch.from_numpy(np.stack(chosen)))
        else:
            yield Batch.from_rows([row.tolist() for row in chosen])
