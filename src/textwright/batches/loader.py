"""Batches as a pure function of (seed, step): nothing to save, nothing to rewind, the same on any number of ranks."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch

from textwright.batches.batch import PADDING, Batch
from textwright.batches.shards import Tokens
from textwright.batches.shuffle import shuffled
from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.world import World

ALONE = World()


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
        packing: ``none`` or ``documents``.

    Raises:
        InputError: packing is ``none`` over a stream that is shorter than one row.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        rows: int,
        time: int,
        seed: int = 0,
        packing: Literal["none", "documents"] = "none",
    ) -> None:
        self.tokens, self.rows, self.time, self.seed = tokens, rows, time, seed
        self._source: _Windows | _Packed = (
            _Windows(tokens, time, seed) if packing == "none" else _Packed(tokens, time, seed)
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
    """Documents laid into rows one after the other; rows are shuffled each epoch."""

    def __init__(self, tokens: Tokens, time: int, seed: int) -> None:
        self.tokens, self.time = tokens, time
        self._packing = tokens.packing(time, seed)
        self.num_rows = self._packing.num_rows
        self._end_id = int(tokens.read(tokens.num_tokens - 1, tokens.num_tokens)[0])

    def batch(self, rows: list[tuple[int, int]]) -> Batch:
        shape = (len(rows), self.time)
        places = self._packing.places(np.array([row for _, row in rows], dtype=np.int64))
        inputs, targets, positions = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        documents = np.full(shape, PADDING, dtype=np.int64)
        here = places.row, places.column
        targets[here] = self.tokens.take(places.token)
        inputs[here] = np.where(places.is_first, self._end_id, self.tokens.take(np.maximum(places.token - 1, 0)))
        documents[here], positions[here] = places.document, places.position
        is_real = torch.from_numpy(documents != PADDING)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            is_real.float(),
            torch.from_numpy(documents),
            torch.from_numpy(positions),
        )


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
