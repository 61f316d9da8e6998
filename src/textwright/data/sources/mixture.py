"""Rows of several sources in one batch, in parts that may change from step to step."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch

from textwright.core.errors import InputError
from textwright.core.world import World
from textwright.data.batch import Batch
from textwright.data.sources.base import SINGLE_PROCESS, Integers, ShuffledRows, fingerprint_of

RESOLUTION = 1 << 20
"""Weights are rounded to parts of it, so that shares are whole-number arithmetic: the same on every machine."""


class Mixture:
    """Each row is of one source; over any stretch of rows every source has its share, to a row or two.

    ::

        weights  a 2, b 1       rows   a a b  a a b  a a b ...      a's are a's first, second, third, ... row

    Which source a row is of, and which of its rows, is arithmetic on the row's number: nothing is saved. Rows say by
    ``task_ids`` and ``tasks`` where they come from.

    Args:
        sources: by the name that their losses get.
        weights: from which step on which weights hold, by name; the first from step 0 on. They are scaled to a sum
            of 1; a source may have none for a while.
        batch_size: rows of a step, over all ranks.

    Raises:
        InputError: no source, weights of another name, or weights that are no shares.
    """

    def __init__(
        self,
        sources: Mapping[str, ShuffledRows],
        weights: Sequence[tuple[int, Mapping[str, float]]],
        *,
        batch_size: int,
    ) -> None:
        self.sources, self.batch_size = dict(sources), batch_size
        self.names = tuple(sources)
        starts = [step for step, _ in weights]
        if not sources or not weights or starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
            raise InputError(
                f"a mixture with weights from steps {starts}", expected="sources, and weights from step 0 on, in order"
            )
        self._starts = np.array(starts, dtype=np.int64) * batch_size
        self._shares = [self._shares_of(step, by_name) for step, by_name in weights]
        self._before = [np.zeros(len(self.names), dtype=np.int64)]
        for stage, (start, stop) in enumerate(pairwise(self._starts)):
            self._before.append(self._before[-1] + self._counts(stage, int(stop - start)))

    @property
    def fingerprint(self) -> str:
        """Of the sources and their shares."""
        sources = [(name, source.fingerprint) for name, source in self.sources.items()]
        shares = [(int(start), shares) for start, shares in zip(self._starts, self._shares, strict=True)]
        return fingerprint_of("mixture", sources, shares, self.batch_size)

    @property
    def num_tokens(self) -> int:
        """Of all sources."""
        return sum(source.num_tokens for source in self.sources.values())

    @property
    def stored_bytes(self) -> int:
        """Of all sources."""
        return sum(source.stored_bytes for source in self.sources.values())

    @property
    def num_samples(self) -> int | None:
        """As ``RepeatedRows``: the rows of all sources, one source's after another's."""
        counts = [source.num_samples for source in self.sources.values()]
        return None if None in counts else sum(filter(None, counts))

    @property
    def tokens_per_step(self) -> int:
        """Places of a step's rows, where all are of the source with the longest."""
        return self.batch_size * max(source.sequence_length for source in self.sources.values())

    def batch(self, step: int, world: World = SINGLE_PROCESS) -> Batch:
        """This rank's rows, in their order."""
        start, stop = (step * self.batch_size + self.batch_size * n // world.size for n in (world.rank, world.rank + 1))
        counts = np.stack([self._rows_before(number) for number in range(start, stop + 1)])
        tasks = np.diff(counts, axis=0).argmax(axis=1)  # each row adds one to its source's
        parts = [
            self._numbered(source.rows(np.arange(counts[0, task], counts[-1, task])), task)
            for task, source in enumerate(self.sources.values())
            if counts[-1, task] > counts[0, task]
        ]
        # The rows lie source by source; a stable sort by source says where each belongs.
        order = np.empty(len(tasks), dtype=np.int64)
        order[np.argsort(tasks, kind="stable")] = np.arange(len(tasks))
        rows = Batch.concat(parts).select(order.tolist())
        return rows.with_fields(task_ids=torch.from_numpy(tasks), tasks=self.names)

    def _numbered(self, rows: Batch, task: int) -> Batch:
        """A source's rows, numbered among those of all."""
        if self.num_samples is None or rows.sample_ids is None:
            return rows.with_fields(sample_ids=None)
        before = sum(source.num_rows for source in list(self.sources.values())[:task])
        return rows.with_fields(sample_ids=rows.sample_ids + before)

    def _rows_before(self, number: int) -> Integers:
        """How many of the first ``number`` rows are each source's."""
        stage = int(np.searchsorted(self._starts, number, side="right")) - 1
        return self._before[stage] + self._counts(stage, number - int(self._starts[stage]))

    def _counts(self, stage: int, number: int) -> Integers:
        """Of so many rows of a stage, each source's: the first takes its share, the next its share of the rest, ..."""
        rest, found = number, []
        for share, of in self._shares[stage]:
            # What is left after the rows so far is a count that never falls, and grows by at most one a row.
            left = rest * (of - share) // of if of else 0
            found.append(rest - left)
            rest = left
        return np.array(found, dtype=np.int64)

    def _shares_of(self, step: int, by_name: Mapping[str, float]) -> list[tuple[int, int]]:
        """Each source's share, and what is left to it and those after it, as whole numbers."""
        where = f"the weights from step {step:,} on"
        unknown = by_name.keys() - self.sources.keys()
        if unknown:
            raise InputError(f"no source {min(unknown)!r}", where=where, expected=f"of {', '.join(self.names)}")
        weights = [float(by_name.get(name, 0.0)) for name in self.names]
        if not all(0 <= weight < float("inf") for weight in weights) or not sum(weights) > 0:
            raise InputError(f"weights {weights}", where=where, expected="numbers from 0 on, one of them more")
        shares = [round(weight / sum(weights) * RESOLUTION) for weight in weights]
        left = np.cumsum(shares[::-1])[::-1].tolist()
        return list(zip(shares, left, strict=True))
