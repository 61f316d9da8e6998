"""Prompts with what is to be said to them: for decoders in one row, for encoder-decoders as source and target."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.data.sources.base import Integers, ShuffledRows, fingerprint_of


@dataclass(frozen=True)
class Pair:
    """One example as token ids."""

    prompt: tuple[int, ...]
    """What is given: it is read, and not learned."""
    completion: tuple[int, ...]
    """What is learned, its end token included."""


class Pairs(ShuffledRows):
    """One example a row, padded to the longest of its batch.

    ::

        in one row             as source and target
        inputs   p p p c c     source   p p p          (| is the end token, which begins a target)
        targets      p p c c |     inputs   | c c
        weight   0 0 1 1 1     targets  c c |

    Args:
        pairs: the examples.
        batch_size: rows of a step, over all ranks.
        sequence_length: the most tokens of a row; of a longer prompt the beginning is left out.
        end_id: the end token: what stands before a prompt or a target that is empty.
        as_source: whether prompts are what an encoder reads.
        seed: fixes the order.

    Raises:
        InputError: no pair, an empty completion, or one that is longer than a row.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        batch_size: int,
        sequence_length: int,
        end_id: int,
        as_source: bool = False,
        seed: int = 0,
    ) -> None:
        if not pairs:
            raise InputError("no example to learn from", expected="at least one")
        for number, pair in enumerate(pairs):
            if not 1 <= len(pair.completion) <= sequence_length:
                raise InputError(
                    f"example {number} has a completion of {len(pair.completion):,} tokens",
                    expected=f"1 to {sequence_length:,}, a row",
                    fix="leave it out, cut it, or give a greater --sequence-length",
                )
        super().__init__(num_rows=len(pairs), batch_size=batch_size, sequence_length=sequence_length, seed=seed)
        self.pairs, self._end_id, self._as_source = list(pairs), end_id, as_source

    @property
    def fingerprint(self) -> str:
        """Of the examples and how they are laid."""
        examples = fingerprint_of([(pair.prompt, pair.completion) for pair in self.pairs])
        shape = (self.batch_size, self.sequence_length, self._end_id, self._as_source, self.seed)
        return fingerprint_of("pairs", examples, *shape)

    @property
    def num_tokens(self) -> int:
        """Of prompts and completions, as far as they are read."""
        most = self.sequence_length
        return sum(min(most, len(pair.prompt)) + len(pair.completion) for pair in self.pairs)

    def make_rows(self, epochs: Integers, places: Integers) -> Batch:  # noqa: ARG002
        """The examples at these places."""
        chosen = [self.pairs[place] for place in places.tolist()]
        return self._with_sources(chosen) if self._as_source else self._in_one_row(chosen)

    def _in_one_row(self, chosen: Sequence[Pair]) -> Batch:
        rows, num_given = [], []
        for pair in chosen:
            room = self.sequence_length + 1 - len(pair.completion)
            given = (pair.prompt or (self._end_id,))[-room:]
            rows.append((*given, *pair.completion))
            num_given.append(len(given))
        batch = Batch.from_rows(rows)
        for row, count in enumerate(num_given):
            batch.loss_weight[row, : count - 1] = 0.0
        return batch

    def _with_sources(self, chosen: Sequence[Pair]) -> Batch:
        batch = Batch.from_rows([(self._end_id, *pair.completion) for pair in chosen])
        sources = [pair.prompt[-self.sequence_length :] for pair in chosen]
        longest = max(1, *(len(source) for source in sources))
        ids = torch.zeros(len(sources), longest, dtype=torch.int64)
        mask = torch.zeros(len(sources), longest, dtype=torch.int64)
        for row, source in enumerate(sources):
            ids[row, : len(source)] = torch.tensor(source, dtype=torch.int64)
            mask[row, : len(source)] = 1
        return batch.with_fields(source_ids=ids, source_mask=mask)
