"""A family as a stranger would add it: a GRU language model, with a loss that carries its state from step to step."""

from collections.abc import Mapping, Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn

from textwright.data.batch import Batch
from textwright.models.config import ModelConfig
from textwright.models.family import Family
from textwright.models.hooks import ModelHooks
from textwright.models.language_model import LanguageModel
from textwright.models.network import Network
from textwright.models.protocols import Cache
from textwright.training.model_with_loss import Loss, Objective, Term


class GRUConfig(ModelConfig):
    """The shape of a GRU."""

    family: Literal["toy-gru"] = "toy-gru"
    hidden_size: int


class GRUCache:
    """The state of each slot, and how much it has read."""

    def __init__(self, hidden: Tensor) -> None:
        self.hidden, self.lengths = hidden, [0] * len(hidden)

    @property
    def num_slots(self) -> int:
        return len(self.lengths)

    def length(self, slot: int) -> int:
        return self.lengths[slot]

    def bytes_for(self, length: int) -> int:
        return self.hidden[0].nbytes

    def crop(self, slot: int, length: int) -> None:
        assert length in (0, self.lengths[slot]), "a GRU does not remember what it was before"
        if not length:
            self.hidden[slot] = 0
        self.lengths[slot] = length

    def fork(self, source: int, target: int, *, start: int = 0, length: int | None = None) -> None:
        self.hidden[target], self.lengths[target] = self.hidden[source], self.lengths[source]

    def put(self, slot: int, other: Self) -> None:
        self.hidden[slot], self.lengths[slot] = other.hidden[0], other.lengths[0]


class GRU(LanguageModel):
    """Embedding, cell, head."""

    config: GRUConfig
    can_crop = False

    def __init__(self, config: GRUConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.cell = nn.GRUCell(config.hidden_size, config.hidden_size)
        self.out = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    @property
    def hidden_size(self) -> int:
        return self.config.hidden_size

    @property
    def head_weight(self) -> Tensor:
        return self.out.weight

    def init_weights(self, generator: torch.Generator) -> None:
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2, generator=generator)

    def embed(self, batch: Batch, hooks: ModelHooks | None = None) -> Tensor:
        embedded: Tensor = self.embedding(batch.input_ids)
        return embedded if hooks is None else hooks("hook_embed", embedded)

    def hidden_states(self, embedded: Tensor, batch: Batch, hooks: ModelHooks | None = None) -> Tensor:
        return self.unroll(embedded, embedded.new_zeros(batch.num_rows, self.hidden_size), batch.document_ids)[0]

    def unroll(self, embedded: Tensor, state: Tensor, document_ids: Tensor | None) -> tuple[Tensor, Tensor]:
        """The state after each token; it begins anew where a document does."""
        found = []
        for place in range(embedded.shape[1]):
            if place and document_ids is not None:
                goes_on = document_ids[:, place] == document_ids[:, place - 1]
                state = state * goes_on[:, None]
            state = self.cell(embedded[:, place], state)
            found.append(state)
        return torch.stack(found, dim=1), state

    def hook_points(self) -> tuple[str, ...]:
        return ("hook_embed",)

    @torch.no_grad()
    def empty_cache(self, num_slots: int, source: Batch | None = None) -> GRUCache:
        return GRUCache(torch.zeros(num_slots, self.hidden_size, device=self.device, dtype=self.head_weight.dtype))

    @torch.no_grad()
    def extend(
        self,
        ids: Tensor,
        lengths: Sequence[int],
        cache: Cache,
        slots: Sequence[int],
        hooks: ModelHooks | None = None,
    ) -> Tensor:
        assert isinstance(cache, GRUCache)
        rows, counts, found = list(slots), torch.tensor(list(lengths)), []
        hidden = cache.hidden[rows]
        for place in range(ids.shape[1]):
            hidden = torch.where((place < counts)[:, None], self.cell(self.embedding(ids[:, place]), hidden), hidden)
            found.append(hidden)
        cache.hidden[rows] = hidden
        for slot, length in zip(slots, lengths, strict=True):
            cache.lengths[slot] += length
        return torch.stack(found, dim=1)


class CarriedLoss(Objective):
    """The next token's, each lane going on from the state in which the step before left it."""

    carried: Tensor

    def __init__(self, num_lanes: int, hidden_size: int) -> None:
        super().__init__()
        self.register_buffer("carried", torch.zeros(num_lanes, hidden_size))

    def weights(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"next_token": batch.loss_weight.sum()}

    def forward(self, model: Network, batch: Batch) -> Loss:
        assert isinstance(model, GRU)
        assert batch.row_ids is not None
        assert batch.continues is not None
        before = self.carried[batch.row_ids] * batch.continues[:, None]
        hidden, after = model.unroll(model.embed(batch), before, batch.document_ids)
        if self.training:
            self.carried[batch.row_ids] = after.detach()
        total = model.loss(hidden, batch.target_ids, batch.loss_weight)
        return Loss({"next_token": Term(total, batch.loss_weight.sum())})


FAMILY = Family(GRUConfig, "tests.plugins.gru:GRU", {"toy-gru-nano": {"family": "toy-gru", "hidden_size": 24}})
