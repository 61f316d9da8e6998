"""What enters the lowest trained block, kept for every row once it was computed: of frozen layers it stays the same.

::

    row ──embedding, frozen blocks──> hidden states ──trained blocks──> loss
                                        │      ↑
            the first time: written     ↓      │     from then on: read, and nothing below is computed
                                   a file beside the run, without a name

The states are float32, which is what a block is given in either precision: a step computes what it would without them.
The file has no name, so that nothing of it is left, whatever ends the process; a run that goes on computes each row
once more. Rows are computed by the step that reads them: a run waits for nothing, and computes no row that it never
reads.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.protocols import SplitBackbone

NUMBER_BYTES = 4
"""Of a float32."""


class FrozenStates:
    """The hidden states that enter a block, by row.

    Args:
        network: that makes them.
        block: the lowest block that is ever trained, from 0; of n blocks n is what comes after them.
        num_samples: different rows of the source.
        num_read: those of them that are read, at most.
        row_shape: places of a row, and the width of a hidden state.
        folder: the disk that they are kept on; without a name in it.
    """

    def __init__(
        self,
        network: SplitBackbone,
        *,
        block: int,
        num_samples: int,
        num_read: int,
        row_shape: tuple[int, int],
        folder: Path,
    ) -> None:
        self.block, self.row_shape = block, row_shape
        self.stored_bytes = stored_bytes(num_read, row_shape)
        """What they take, at most."""
        self._network, self._row_bytes = network, stored_bytes(1, row_shape)
        self._is_known = np.zeros(num_samples, dtype=bool)
        self._has_room = True
        self._rows_at_once = 0
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".frozen.", suffix=".tmp", buffering=0)  # noqa: SIM115

    @property
    def num_samples(self) -> int:
        """Different rows of the source."""
        return len(self._is_known)

    @property
    def num_known(self) -> int:
        """How many rows are kept."""
        return int(self._is_known.sum())

    def added_to(self, batch: Batch) -> Batch:
        """A batch with its ``hidden``: kept, or computed and kept from now on. One without ``sample_ids`` as it is."""
        if batch.sample_ids is None or batch.time != self.row_shape[0]:
            return batch
        rows = batch.sample_ids.tolist()
        if self._is_known[rows].all():
            hidden = self._read(rows).to(batch.input_ids.device)
        else:
            hidden = self._computed(batch)
            self._write(rows, hidden)
        return batch.with_fields(hidden=hidden, first_block=self.block)

    @torch.no_grad()
    def _computed(self, batch: Batch) -> Float[Tensor, "rows time hidden"]:
        """Always of as many rows at once as the first time: kernels round by the shape of what they are given."""
        self._rows_at_once = max(self._rows_at_once, batch.num_rows)
        filled_up = [*range(batch.num_rows), *[0] * (self._rows_at_once - batch.num_rows)]
        return self._network.hidden_before(batch.select(filled_up), self.block)[: batch.num_rows]

    def _read(self, rows: Sequence[int]) -> Float[Tensor, "rows time hidden"]:
        found = np.empty((len(rows), *self.row_shape), dtype=np.float32)
        for row, states in zip(rows, found, strict=True):
            num_read = os.preadv(self._file.fileno(), [states.data.cast("B")], row * self._row_bytes)
            if num_read != self._row_bytes:
                raise OSError(f"{num_read} of {self._row_bytes} bytes of row {row} could be read")
        return torch.from_numpy(found)

    def _write(self, rows: Sequence[int], hidden: Tensor) -> None:
        """Keep what is not kept yet. A disk that takes no more ends nothing: such rows are computed each time."""
        assert hidden.dtype == torch.float32, f"hidden states of {hidden.dtype}"
        for row, states in zip(rows, hidden.cpu().contiguous().numpy(), strict=True):
            if self._has_room and not self._is_known[row]:
                try:
                    num_written = os.pwrite(self._file.fileno(), states.data.cast("B"), row * self._row_bytes)
                except OSError:
                    num_written = 0
                self._is_known[row] = self._has_room = num_written == self._row_bytes

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


def stored_bytes(num_rows: int, row_shape: tuple[int, int]) -> int:
    """What the hidden states of so many rows take, of so many places and such a width."""
    return NUMBER_BYTES * num_rows * row_shape[0] * row_shape[1]
