"""What those who use a model need of it, each by itself: a network offers what it can, and an engine likewise.

::

    training, scoring    Backbone.embed -> Backbone.hidden_states -> Head.loss or Head.logits
    decoding             Decoder.empty_cache -> Decoder.extend -> Decoder.logits

A classifier has no ``Decoder``, an n-gram no ``Backbone``; what needs a missing one refuses in one line.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.hooks import ModelHooks


@runtime_checkable
class DecodeState(Protocol):
    """What decoding carries from one ``extend`` to the next: a cache. It belongs to the caller, never to a module.

    ``extend`` may change it in place: the old value is then dead.
    """

    @property
    def lengths(self) -> Int[Tensor, " batch"]:
        """How many tokens each row holds."""

    @property
    def size_bytes(self) -> int:
        """Memory it takes."""

    def select(self, rows: Sequence[int] | Int[Tensor, " chosen"]) -> Self:
        """The state of these rows, in this order; a row may come twice."""

    def concat(self, other: Self) -> Self:
        """The rows of both, this one's first."""

    def crop(self, lengths: Int[Tensor, " batch"]) -> Self:
        """The state as it was when the rows held so many tokens, at most as many as now."""


@runtime_checkable
class Backbone(Protocol):
    """Makes hidden states of tokens."""

    def embed(self, batch: Batch, hooks: ModelHooks | None = None) -> Float[Tensor, "batch time hidden"]:
        """Tokens and positions as vectors."""

    def hidden_states(
        self, embedded: Float[Tensor, "batch time hidden"], batch: Batch, hooks: ModelHooks | None = None
    ) -> Float[Tensor, "batch time hidden"]:
        """The last hidden states, ready for a head."""

    def hook_points(self) -> tuple[str, ...]:
        """The names that hooks may use, in the order of computation."""


@runtime_checkable
class Head(Protocol):
    """Says of hidden states what token comes next. Decoding and the loss use one head."""

    def logits(self, hidden: Float[Tensor, "*places hidden"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits of the next token, only for the places given: all of them at once may not fit in memory."""

    def loss(
        self,
        hidden: Float[Tensor, "*places hidden"],
        target_ids: Int[Tensor, "*places"],
        weights: Float[Tensor, "*places"],
    ) -> Float[Tensor, ""]:
        """The sum of weight x cross-entropy over the places, in nats; the logits are made in chunks."""


@runtime_checkable
class Decoder(Protocol):
    """Reads tokens against a cache that belongs to the caller, and says what comes next.

    A ``LanguageModel`` is one, and so are the engines made of one.
    """

    can_crop: bool
    """Whether its caches can be cropped."""

    @property
    def vocab_size(self) -> int:
        """Number of different tokens."""

    @property
    def context_length(self) -> int:
        """The most tokens seen at once."""

    @property
    def hidden_size(self) -> int:
        """Width of what ``extend`` gives."""

    @property
    def device(self) -> torch.device:
        """Where ids go and logits come from."""

    def at_work(self) -> AbstractContextManager[None]:
        """A context to decode in; afterwards everything is as it was."""

    def empty_cache(self, batch_size: int) -> DecodeState:
        """The cache before the first token."""

    def extend(
        self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, " batch"], state: DecodeState
    ) -> tuple[Float[Tensor, "batch time hidden"], DecodeState]:
        """Read more tokens: a prompt, a piece of one, the one token just chosen, or several drafted ones.

        Args:
            ids: row r is extended by ``ids[r, :lengths[r]]``; what comes after is padding.
            lengths: 0 to time for each row.
            state: may be updated in place.

        Returns:
            What ``logits`` of the same decoder takes (that of padding means nothing), and the new state.
        """

    def logits(self, hidden: Float[Tensor, "*places hidden"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits of the next token."""
