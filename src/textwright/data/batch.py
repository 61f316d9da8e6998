"""What every model and objective is handed: rows of tokens with their targets. Masking and packing are data here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

PADDING = -1
"""The document id of padding: it attends nothing, is attended by nothing and has weight 0."""


@dataclass(frozen=True)
class Batch:
    """Rows of tokens, what follows each, and how much each counts.

    ::

        input_ids      t  h  e  |  a  t  o  m        two documents packed into a row
        target_ids     h  e  |  a  t  o  m  |
        document_ids   0  0  0  0  1  1  1  1
        position_ids   0  1  2  3  0  1  2  3
    """

    input_ids: Int[Tensor, "rows time"]
    """Token ids, int64."""
    target_ids: Int[Tensor, "rows time"]
    """The id to be predicted at each place, int64."""
    loss_weight: Float[Tensor, "rows time"]
    """How much each prediction counts; 0 for padding."""
    document_ids: Int[Tensor, "rows time"] | None = None
    """Which document of its row a token is of, -1 for padding; a document's tokens follow each other. None: one
    document a row, nothing padded."""
    position_ids: Int[Tensor, "rows time"] | None = None
    """Positions, restarting with each packed document. None: 0, 1, 2, ... in every row."""
    attention: Literal["causal", "bidirectional"] = "causal"
    """Whether a token attends only to what is before it, or to both sides."""
    source_ids: Int[Tensor, "rows source_time"] | None = None
    """For encoder-decoder models: what the encoder reads."""
    source_mask: Int[Tensor, "rows source_time"] | None = None
    """1 where ``source_ids`` are real, 0 where they are padding."""
    prefix: Float[Tensor, "rows prefix hidden"] | None = None
    """For models that are told what a text is about in vectors: those that stand before it."""
    labels: Int[Tensor, " rows"] | None = None
    """What a row as a whole is to be recognised as."""
    task_ids: Int[Tensor, " rows"] | None = None
    """Which of ``tasks`` a row is of, where there are several: their losses are told apart."""
    tasks: tuple[str, ...] = ()
    """The names of the tasks."""
    row_ids: Int[Tensor, " rows"] | None = None
    """The place of a row in the whole batch, where it means something: a lane, whose state is carried on."""
    continues: Bool[Tensor, " rows"] | None = None
    """Whether a row's first token goes on with the document in which the same row ended in the step before."""
    sample_ids: Int[Tensor, " rows"] | None = None
    """Which row of its source a row is, where those are the same whenever they are read."""
    hidden: Float[Tensor, "rows time hidden"] | None = None
    """What enters block ``first_block``, where it is known already: a network begins there, and embeds nothing."""
    first_block: int = 0
    """The block that ``hidden`` enters, from 0; of a network of n blocks n is what comes after them."""
    wanted: Bool[Tensor, "rows time"] | None = None
    """Where hidden states will be read: elsewhere a network may spare itself what only they need, and leave zeros."""

    @classmethod
    def from_ids(cls, ids: Int[Tensor, "rows time_plus_1"]) -> Self:
        """Rows of a stream: each token predicts the next."""
        return cls(ids[:, :-1], ids[:, 1:], torch.ones(ids[:, 1:].shape, device=ids.device))

    @classmethod
    def for_inputs(cls, ids: Int[Tensor, "rows time"]) -> Self:
        """Rows that are only read: nothing is predicted, so nothing counts."""
        return cls(ids, torch.zeros_like(ids), torch.zeros(ids.shape, device=ids.device))

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]]) -> Self:
        """Rows of different lengths, padded at their ends: each token predicts the next of its row."""
        time = max(1, *(len(row) - 1 for row in rows))
        ids = torch.zeros((len(rows), time + 1), dtype=torch.int64)
        real = torch.zeros((len(rows), time), dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.as_tensor(row, dtype=torch.int64)
            real[index, : len(row) - 1] = True
        document_ids = torch.where(real, 0, PADDING)
        target_ids = torch.where(real, ids[:, 1:], 0)
        return cls(torch.where(real, ids[:, :-1], 0), target_ids, real.float(), document_ids)

    @property
    def num_rows(self) -> int:
        """How many rows."""
        return self.input_ids.shape[0]

    @property
    def time(self) -> int:
        """How many places a row has."""
        return self.input_ids.shape[1]

    def rows(self, start: int, stop: int) -> Self:
        """The rows from ``start`` up to but not including ``stop``."""
        return self._each(lambda tensor: tensor[start:stop])

    def select(self, rows: Sequence[int]) -> Self:
        """These rows, in this order."""
        return self._each(lambda tensor: tensor[torch.as_tensor(rows, dtype=torch.int64)])

    def with_fields(self, **values: Any) -> Self:
        """The batch with other fields beside or instead of its own."""
        return replace(self, **values)

    @classmethod
    def concat(cls, batches: Sequence[Self]) -> Self:
        """The rows of all, each filled up to the longest: what only some of them say is said for the others too."""
        longest = max(batch.time for batch in batches)
        if len(batches) == 1:
            return batches[0]
        same = {name: {getattr(batch, name) for batch in batches} for name in ("attention", "tasks")}
        assert all(len(values) == 1 for values in same.values()), f"batches that do not go together: {same}"
        has_documents = any(batch.document_ids is not None or batch.time < longest for batch in batches)
        has_positions = any(batch.position_ids is not None for batch in batches)
        full = [batch._padded(longest, has_documents, has_positions) for batch in batches]
        joined: dict[str, Any] = {}
        for name in (field.name for field in fields(cls)):
            values = [getattr(batch, name) for batch in full]
            if any(isinstance(value, Tensor) for value in values):
                assert all(isinstance(value, Tensor) for value in values), f"only some of the batches have {name}"
                joined[name] = torch.cat(_of_one_length(values))
        return replace(full[0], **joined)

    def filled_up(self, time: int) -> Self:
        """The batch with places of padding up to so many."""
        return self if self.time >= time else self._padded(time, has_documents=True, has_positions=False)

    def _padded(self, time: int, has_documents: bool, has_positions: bool) -> Self:
        """Filled up to so many places, with documents and positions where they are asked for."""
        missing, shape = time - self.time, self.input_ids.shape
        documents, positions = self.document_ids, self.position_ids
        if documents is None and has_documents:
            documents = torch.zeros(shape, dtype=torch.int64)
        if positions is None and has_positions:
            positions = torch.arange(self.time).expand(shape)
        return replace(
            self,
            input_ids=F.pad(self.input_ids, (0, missing)),
            target_ids=F.pad(self.target_ids, (0, missing)),
            loss_weight=F.pad(self.loss_weight, (0, missing)),
            document_ids=None if documents is None else F.pad(documents, (0, missing), value=PADDING),
            position_ids=None if positions is None else F.pad(positions, (0, missing)),
        )

    def where_counted(self) -> Self:
        """The batch, with hidden states wanted where a prediction counts."""
        return replace(self, wanted=self.loss_weight != 0)

    def to(self, device: torch.device | str) -> Self:
        """The batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        changed: dict[str, Any] = {name: change(value) for name, value in values if isinstance(value, Tensor)}
        return replace(self, **changed)


def _of_one_length(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Rows of sources filled up with zeros, which their mask leaves out; all others are of one length already."""
    longest = max(tensor.shape[1] if tensor.ndim > 1 else 0 for tensor in tensors)
    return [F.pad(tensor, (0, longest - tensor.shape[1])) if tensor.ndim > 1 else tensor for tensor in tensors]
