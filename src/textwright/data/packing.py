"""Which documents lie in which row: laid one after the other, in an order that the seed fixes.

::

    documents      aaaa bb ccccccccc d           rows of 5 places

    pieces         aaaa bb ccccc cccc d          a document that is longer than a row becomes several
    rows           | bb | cccc | aaaa d | ccccc |    in another order: each goes where it leaves the least room
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
    """Whether it begins a document, and what is before it in the stream is another's."""


@dataclass(frozen=True)
class Packing:
    """The rows of all documents."""

    starts: Integers
    """Where each piece begins in the stream, in the order in which they are laid."""
    lengths: Integers
    """Its tokens."""
    is_first: npt.NDArray[np.bool_]
    """Whether it begins a document with its very first token."""
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


def lay_out(document_ends: Integers, time: int, seed: int, num_given: Integers | None = None) -> Packing:
    """Documents as rows.

    Args:
        document_ends: where each ends in the stream.
        time: places of a row.
        seed: fixes the order.
        num_given: tokens of each at its beginning that are read and never predicted: 0 or 1. None: none of any.
    """
    starts = np.concatenate([[0], document_ends[:-1]])
    given = np.zeros(len(starts), dtype=np.int64) if num_given is None else num_given
    starts = starts + given
    # A document longer than a row becomes several pieces; only its first is read from the end token on.
    document, piece = _each(-(-(document_ends - starts) // time))
    starts = starts[document] + piece * time
    lengths = np.minimum(time, document_ends[document] - starts)
    order = shuffled(np.arange(len(starts)), len(starts), hash_u64("packing", seed))
    rows = _best_fit(lengths[order], time)
    order = order[np.argsort(rows, kind="stable")]
    firsts = np.concatenate([[0], np.cumsum(np.bincount(rows))])
    is_first = (piece == 0) & (given[document] == 0)
    return Packing(starts[order], lengths[order], is_first[order], firsts)


def _best_fit(lengths: Integers, time: int) -> Integers:
    """The row of each piece: the one that it fits into and leaves the least room in, else a new one.

    Source: Johnson et al. 1974 (SIAM Journal on Computing 3), best fit.
    """
    rows, num_rows = np.empty(len(lengths), dtype=np.int64), 0
    with_room: list[list[int]] = [[] for _ in range(time + 1)]  # rows, by the places that are left in them
    rooms = 0  # bit r says whether there is a row with r places left
    for number, length in enumerate(lengths.tolist()):
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, row, num_rows = time, num_rows, num_rows + 1
        rows[number] = row
        left = room - length
        if left:
            with_room[left].append(row)
            rooms |= 1 << left
    return rows


def _each(counts: Integers) -> tuple[Integers, Integers]:
    """For ``[2, 0, 3]``: ``[0, 0, 2, 2, 2]``, whose each is, and ``[0, 1, 0, 1, 2]``, which of them it is."""
    whose = np.repeat(np.arange(len(counts)), counts)
    return whose, np.arange(len(whose)) - np.repeat(np.cumsum(counts) - counts, counts)
