"""What logits processors look at of a text: a sequence's, or one that is only being drafted. Torch-free."""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from textwright.generation.constraints import Constraint
from textwright.generation.text_index import Ids, TextIndex


@dataclass(frozen=True)
class TokenHistory:
    """The ids of prompt and text.

    Attributes:
        index: of the sequence's text.
        drafted: ids after it that are only being thought of, a few.
        constraint: which tokens may follow; None where any may.
    """

    index: TextIndex
    drafted: tuple[int, ...] = ()
    constraint: Constraint | None = None

    def followed_by(self, token_id: int, end_ids: Collection[int]) -> Self | None:
        """The text with one more token; None where the constraint does not allow it, or the text ends with it."""
        constraint = self.constraint
        if token_id in end_ids:
            return None
        if constraint is not None:
            if not constraint.allows(token_id):
                return None
            constraint = constraint.copy()
            constraint.push(token_id)
        return type(self)(self.index, (*self.drafted, token_id), constraint)

    @property
    def num_new_tokens(self) -> int:
        """How many tokens the text holds, the prompt left aside."""
        return len(self.index.ids) - self.index.num_prompt_ids + len(self.drafted)

    def backwards(self) -> Iterator[int]:
        """The ids of prompt and text, the last one first."""
        yield from reversed(self.drafted)
        yield from reversed(self.index.ids)

    def seen_ids(self) -> Ids:
        """The different ids of prompt and text; one that is drafted may come again."""
        return np.append(self.index.counts(0)[0], np.array(self.drafted, np.int64))

    def counts_of_new(self) -> tuple[Ids, Ids]:
        """The ids of the text, the prompt left aside, and how often each comes: where one comes again, the sum."""
        ids, times = self.index.counts(self.index.num_prompt_ids)
        drafted = np.array(self.drafted, np.int64)
        return np.append(ids, drafted), np.append(times, np.ones_like(drafted))

    def repeats(self, n: int) -> list[int]:
        """The tokens with which the last n tokens would be there a second time."""
        if n == 1:
            return [int(token_id) for token_id in self.seen_ids()]
        end = [*itertools.islice(self.backwards(), n - 1 + len(self.drafted))][::-1]
        run = end[max(0, len(end) - (n - 1)) :]
        if len(run) < n - 1:
            return []
        first = len(end) - len(self.drafted)
        follow_run = (place for place in range(max(first, n - 1), len(end)) if end[place - (n - 1) : place] == run)
        return [*self.index.followers(run), *(end[place] for place in follow_run)]
