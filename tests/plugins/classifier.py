"""A bidirectional encoder with a classification loss and a source of labelled rows, as a stranger would add them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textwright.data.batch import Batch
from textwright.data.sources.base import ShuffledRows, fingerprint_of
from textwright.models.config import ModelConfig
from textwright.models.family import Family
from textwright.models.hooks import ModelHooks
from textwright.models.layers.attention import Attention, AttentionMask, make_attention_mask
from textwright.models.layers.norm import RMSNorm
from textwright.models.network import Network
from textwright.training.model_with_loss import Loss, Objective, Term


class EncoderConfig(ModelConfig):
    """The shape of an encoder of one block."""

    family: Literal["toy-encoder"] = "toy-encoder"
    hidden_size: int


class Encoder(Network):
    """A backbone without a head and without a decoder."""

    config: EncoderConfig

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config, width = config, config.hidden_size
        self.embedding = nn.Embedding(config.vocab_size, width)
        self.attention = Attention(width, 2, width // 2, scale=(width // 2) ** -0.5)
        self.norm = RMSNorm(width, 1e-6)

    def init_weights(self, generator: torch.Generator) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.2, generator=generator)
            else:
                nn.init.zeros_(parameter)
        nn.init.ones_(self.norm.weight)

    def embed(self, batch: Batch, hooks: ModelHooks | None = None) -> Tensor:
        embedded: Tensor = self.embedding(batch.input_ids)
        return embedded

    def hidden_states(self, embedded: Tensor, batch: Batch, hooks: ModelHooks | None = None) -> Tensor:
        mask, is_causal = make_attention_mask(batch)
        hidden: Tensor = embedded + self.attention(self.norm(embedded), AttentionMask(mask, is_causal, None))
        return hidden

    def hook_points(self) -> tuple[str, ...]:
        return ()


class ClassificationLoss(Objective):
    """Cross-entropy of a row's label, from the mean of its hidden states."""

    def __init__(self, hidden_size: int, num_labels: int) -> None:
        super().__init__()
        self.classes = nn.Linear(hidden_size, num_labels)

    def weights(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"label": torch.tensor(float(batch.num_rows))}

    def forward(self, model: Network, batch: Batch) -> Loss:
        assert isinstance(model, Encoder)
        assert batch.labels is not None
        hidden = model.hidden_states(model.embed(batch), batch).mean(1)
        total = F.cross_entropy(self.classes(hidden).float(), batch.labels, reduction="sum")
        return Loss({"label": Term(total, hidden.new_tensor(float(batch.num_rows)))})


class Labelled(ShuffledRows):
    """Rows of equal length, each with a label."""

    def __init__(self, rows: Sequence[Sequence[int]], labels: Sequence[int], *, batch_size: int) -> None:
        super().__init__(num_rows=len(rows), batch_size=batch_size, sequence_length=len(rows[0]), seed=0)
        self._rows, self._labels = torch.tensor(rows), torch.tensor(labels)

    @property
    def fingerprint(self) -> str:
        return fingerprint_of("labelled", self._rows.tolist(), self._labels.tolist())

    @property
    def num_tokens(self) -> int:
        return self._rows.numel()

    def make_rows(self, epochs: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Batch:
        chosen = torch.from_numpy(places)
        batch = Batch(self._rows[chosen], self._rows[chosen], torch.ones(len(places), self.sequence_length))
        return batch.with_fields(labels=self._labels[chosen], attention="bidirectional")


FAMILY = Family(EncoderConfig, "tests.plugins.classifier:Encoder")
