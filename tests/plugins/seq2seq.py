"""An encoder-decoder as a stranger would add it: the mean of the source begins the target's GRU."""

from typing import Literal

import torch
from torch import Tensor

from tests.plugins.gru import GRU, GRUConfig, GRUState
from textwright.data.batch import Batch
from textwright.models.family import Family
from textwright.models.hooks import ModelHooks


class Seq2SeqConfig(GRUConfig):
    """The shape of both halves."""

    family: Literal["toy-seq2seq"] = "toy-seq2seq"  # type: ignore[assignment]


class Seq2Seq(GRU):
    """Reads a source, then says a target."""

    def encode(self, batch: Batch) -> Tensor:
        """What is known of the source, [batch, hidden]."""
        assert batch.source_ids is not None
        assert batch.source_mask is not None
        mask = batch.source_mask[..., None].to(self.head_weight.dtype)
        return (self.embedding(batch.source_ids) * mask).sum(1) / mask.sum(1).clamp(min=1)

    def hidden_states(self, embedded: Tensor, batch: Batch, hooks: ModelHooks | None = None) -> Tensor:
        return self.unroll(embedded, self.encode(batch), batch.document_ids)[0]

    def empty_cache(self, batch_size: int, source: Batch | None = None) -> GRUState:
        assert source is not None, "an encoder-decoder needs a source"
        return GRUState(self.encode(source), torch.zeros(batch_size, dtype=torch.int64, device=self.device))


FAMILY = Family(Seq2SeqConfig, "tests.plugins.seq2seq:Seq2Seq")
