"""Whole documents laid into rows, which do not see each other."""

from collections.abc import Iterator

import numpy as np
import torch

from textwright.data.batch import PADDING, Batch
from textwright.data.dataset import TokenDataset
from textwright.data.sources.base import Integers, OverTokens, ShuffledRows


class PackedDocuments(OverTokens, ShuffledRows):
    """Documents laid into rows one after the other; longer ones are cut. Rows are shuffled each epoch.

    Each is read from the end token on, so that its first token is learned too; but for those, such as pairs, of which
    that is only given: they are read as they are asked for, without anything before them::

        inputs       | t h e   | a t o m            (| is the end token)
        targets      t h e |   a t o m |

        inputs       2 + 2 = 4       of a pair "2+2=" and "4"
        targets      + 2 = 4 |
        weights      0 0 0 1 1

    Args:
        tokens: the documents.
        batch_size: rows of a step, over all ranks.
        sequence_length: places of a row.
        seed: fixes the order.
    """

    repeats_rows = True

    def __init__(self, tokens: TokenDataset, *, batch_size: int, sequence_length: int, seed: int = 0) -> None:
        self.tokens, self.seeds = tokens, (seed,)
        self.kind = "packed by best fit" + ("" if tokens.learned is None else ", read as asked for")
        self._packing = tokens.packing(sequence_length, seed)
        num_rows = self._packing.num_rows
        super().__init__(num_rows=num_rows, batch_size=batch_size, sequence_length=sequence_length, seed=seed)
        self._end_id = int(tokens.read(tokens.num_tokens - 1, tokens.num_tokens)[0])

    def make_rows(self, epochs: Integers, places: Integers) -> Batch:  # noqa: ARG002
        """The rows of the packing."""
        shape = (len(places), self.sequence_length)
        found = self._packing.places(places)
        inputs, targets, positions = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        documents = np.full(shape, PADDING, dtype=np.int64)
        here = found.row, found.column
        targets[here] = self.tokens.take(found.token)
        inputs[here] = np.where(found.is_first, self._end_id, self.tokens.take(np.maximum(found.token - 1, 0)))
        documents[here], positions[here] = found.document, found.position
        counts = documents != PADDING
        if self.tokens.learned is not None:
            counts[here] = self.tokens.learned.contain(found.token)
        return Batch(
            torch.from_numpy(inputs),
            torch.from_numpy(targets),
            torch.from_numpy(counts).float(),
            torch.from_numpy(documents),
            torch.from_numpy(positions),
        )


def packed_evaluation_batches(tokens: TokenDataset, *, batch_size: int, sequence_length: int) -> Iterator[Batch]:
    """All documents, as they are learned from: once, and in an order that is always the same."""
    source = PackedDocuments(tokens, batch_size=batch_size, sequence_length=sequence_length)
    for first in range(0, source.num_rows, batch_size):
        places = np.arange(first, min(first + batch_size, source.num_rows))
        yield source.make_rows(np.zeros_like(places), places)
