"""Which documents lie in which row: laid one after the other, in an order that the seed fixes.

::

    documents      aaaa bb ccccccccc d           rows of 5 places

    pieces         aaaa bb ccccc cccc d          a document that is longer than a row becomes several
    rows           | bb d | cccc | aaaa | ccccc |    in another order: each row takes pieces while they fit
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textwright.core.seeds import hash_u64
from textwright.data.shuffle import shuffled

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Tokens of some rows, each with where it goes; all arrays are of one length."""

    row: Integers
    """The row, counted among those asked for."""
    column: Integers
    """The place in its row."""
    token: Integers
    """Where it lies in the stream."""
    document: Integers
    """Its piece, counted from the row's first."""
    position: Integers
    """Its place in its piece."""
    is_first: npt.NDArray[np.bool_]
    """Whether it begins a document, so that what is before it in the stream is another's."""


@dataclass(frozen=True)
class Packing:
    """The rows of all documents."""

    starts: Integers
    """Where each piece begins in the stream, in the order in which they are laid."""
    lengths: Integers
    """Its tokens."""
    is_first: npt.NDArray[np.bool_]
    """Whether it begins a document."""
    first_pieces: Integers
    """The first piece of each row, and at the end the number of pieces."""

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.first_pieces) - 1

    def places(self, rows: Integers) -> Places:
        """Where the tokens of these rows go."""
        counts = self.first_pieces[rows + 1] - self.first_pieces[rows]
        row, document = _each(counts)
        piece = self.first_pieces[rows][row] + document
        lengths = self.lengths[piece]
        # Where each piece begins in its row: the tokens before it, less those before its row's first.
        begins = np.cumsum(lengths) - lengths
        begins -= begins[np.searchsorted(row, np.arange(len(rows)))][row]
        of, position = _each(lengths)
        return Places(
            row=row[of],
            column=begins[of] + position,
            token=self.starts[piece][of] + position,
            document=document[of],
            position=position,
            is_first=self.is_first[piece][of] & (position == 0),
        )


def lay_out(document_ends: Integers, time: int, seed: int) -> Packing:
    """Documents as rows.

    Args:
        document_ends: where each ends in the stream.
        time: places of a row.
        seed: fixes the order.
    """
    starts = np.concatenate([[0], document_ends[:-1]])
    # A document longer than a row becomes several pieces; only its first is read from the end token on.
    document, piece = _each(-(-(document_ends - starts) // time))
    starts = starts[document] + piece * time
    lengths = np.minimum(time, document_ends[document] - starts)
    order = shuffled(np.arange(len(starts)), len(starts), hash_u64("packing", seed))
    lengths = lengths[order]
    return Packing(starts[order], lengths, (piece == 0)[order], _first_pieces(lengths, time))


def _first_pieces(lengths: Integers, time: int) -> Integers:
    """The first piece of each row, and the number of pieces: each row takes pieces while they fit."""
    filled = np.concatenate([[0], np.cumsum(lengths)])
    # For every piece, which one would begin the next row if it began a row; then only the chain is left to follow.
    next_first = (np.searchsorted(filled, filled[:-1] + time, side="right") - 1).tolist()
    firsts = [0]
    while firsts[-1] < len(next_first):
        firsts.append(next_first[firsts[-1]])
    return np.array(firsts, dtype=np.int64)


def _each(counts: Integers) -> tuple[Integers, Integers]:
    """For ``[2, 0, 3]``: ``[0, 0, 2, 2, 2]``, whose each is, and ``[0, 1, 0, 1, 2]``, which of them it is."""
    whose = np.repeat(np.arange(len(counts)), counts)
    return whose, np.arange(len(whose)) - np.repeat(np.cumsum(counts) - counts, counts)
