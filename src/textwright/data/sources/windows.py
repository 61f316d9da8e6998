"""Rows cut from one stream of documents, and the stream from end to end for evaluation."""

from collections.abc import Iterator

import numpy as np
import torch

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.data.batch import Batch
from textwright.data.dataset import TokenDataset
from textwright.data.sources.base import Integers, OverTokens, ShuffledRows, weigh_learned


class Windows(OverTokens, ShuffledRows):
    """Rows cut from the stream, every token once an epoch (but for less than two rows at its ends).

    ::

        the stream   t h e | a t o m | o f | ...
        rows         [t h e | a] [t o m | o] ...    in an order that differs each epoch

    Each epoch starts a little elsewhere, so that borders move.

    Args:
        tokens: the stream.
        batch_size: rows of a step, over all ranks.
        sequence_length: tokens of a row.
        seed: fixes the order.

    Raises:
        InputError: the stream is shorter than one row.
    """

    kind = "windows"

    def __init__(self, tokens: TokenDataset, *, batch_size: int, sequence_length: int, seed: int = 0) -> None:
        if tokens.num_tokens < sequence_length + 1:
            raise InputError(
                f"the text has {tokens.num_tokens:,} tokens",
                expected=f"at least {sequence_length + 1:,}, one row and what follows it",
                fix="give more text, or a smaller --model.context-length",
            )
        fit = (tokens.num_tokens - 1) // sequence_length
        super().__init__(num_rows=max(1, fit - 1), batch_size=batch_size, sequence_length=sequence_length, seed=seed)
        self.tokens, self.seeds = tokens, (seed,)
        self._slack = tokens.num_tokens - 1 - self.num_rows * sequence_length

    def make_rows(self, epochs: Integers, places: Integers) -> Batch:
        """Each row with what follows it."""
        time = self.sequence_length
        ids, starts = np.empty((len(places), time + 1), dtype=np.int64), np.empty(len(places), dtype=np.int64)
        for index, (epoch, place) in enumerate(zip(epochs.tolist(), places.tolist(), strict=True)):
            start = hash_u64("offset", self.seed, epoch) % (self._slack + 1) + place * time
            ids[index], starts[index] = self.tokens.read(start, start + time + 1), start
        return weigh_learned(Batch.from_ids(torch.from_numpy(ids)), self.tokens, starts)


def evaluation_batches(tokens: TokenDataset, *, batch_size: int, sequence_length: int) -> Iterator[Batch]:
    """The stream from its start to its end in rows: each token but the very first is predicted exactly once."""
    starts = np.arange(0, tokens.num_tokens - 1, sequence_length)
    for first in range(0, len(starts), batch_size):
        here = starts[first : first + batch_size]
        chosen = [tokens.read(start, min(start + sequence_length + 1, tokens.num_tokens)) for start in here.tolist()]
        if all(len(row) == sequence_length + 1 for row in chosen):
            batch = Batch.from_ids(torch.from_numpy(np.stack(chosen)))
        else:
            batch = Batch.from_rows([row.tolist() for row in chosen])
        yield weigh_learned(batch, tokens, here)
