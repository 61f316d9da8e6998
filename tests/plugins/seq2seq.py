"""An encoder-decoder as a stranger would add it: the mean of the source begins the target's GRU."""

from typing import Literal

import torch
from torch import Tensor

from tests.plugins.gru import GRU, GRUCache, GRUConfig
from textwright.data.batch import Batch
from textwright.models.family import Family
from textwright.models.hooks import ModelHooks
from textwright.models.protocols import Conditioning


class Seq2SeqConfig(GRUConfig):
    """The shape of both halves."""

    family: Literal["toy-seq2seq"] = "toy-seq2seq"  # type: ignore[assignment]


class Seq2Seq(GRU):
    """Reads a source, then says a target."""

    conditioning: Conditioning | None = "source_ids"

    def encode(self, batch: Batch) -> Tensor:
        """What is known of the source, [batch, hidden]."""
        assert batch.source_ids is not None
        assert batch.source_mask is not None
        mask = batch.source_mask[..., None].to(self.head_weight.dtype)
        return (self.embedding(batch.source_ids) * mask).sum(1) / mask.sum(1).clamp(min=1)

    def hidden_states(self, embedded: Tensor, batch: Batch, hooks: ModelHooks | None = None) -> Tensor:
        return self.unroll(embedded, self.encode(batch), batch.document_ids)[0]

    @torch.no_grad()
    def empty_cache(self, num_slots: int, source: Batch | None = None) -> GRUCache:
        return super().empty_cache(num_slots) if source is None else GRUCache(self.encode(source))


FAMILY = Family(Seq2SeqConfig, "tests.plugins.seq2seq:Seq2Seq")
