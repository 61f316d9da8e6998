"""What those who use a model need of it, each by itself: a network offers what it can, and an engine likewise.

::

    training, scoring    Backbone.embed -> Backbone.hidden_states -> Head.loss or Head.logits
    decoding             Decoder.empty_cache -> Decoder.extend -> Decoder.logits

A classifier has no ``Decoder``, an n-gram no ``Backbone``; what needs a missing one refuses in one line.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.data.batch import Batch
from textwright.models.hooks import ModelHooks

T = TypeVar("T")
Conditioning = Literal["source_ids", "prefix"]
"""What a text can be about: another text, or vectors in its place, such as an image's."""


@runtime_checkable
class Cache(Protocol):
    """What decoding carries: fixed slots, numbered from 0, each of which holds what was read of one text.

    It belongs to the caller, never to a module, and is changed in place. What is done to one slot leaves the others
    where they are. New slots hold nothing.
    """

    @property
    def num_slots(self) -> int:
        """How many texts it can hold."""

    def length(self, slot: int) -> int:
        """How many tokens a slot holds."""

    def bytes_for(self, length: int) -> int:
        """Memory of a slot that holds so many tokens."""

    def crop(self, slot: int, length: int) -> None:
        """Let a slot hold only its first tokens; 0 always works, others where the decoder says ``can_crop``."""

    def fork(self, source: int, target: int, *, start: int = 0, length: int | None = None) -> None:
        """Let a slot hold what another does.

        Args:
            source: the slot that stays as it is.
            target: the slot that is written over.
            start: so many first tokens the target holds already, in the same text: they need not be copied.
            length: of what the source holds only so many first tokens; other than all where ``can_crop``.
        """

    def put(self, slot: int, other: Self) -> None:
        """Let a slot hold what the first of another cache of the same decoder does: what its texts are about."""


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
class SplitBackbone(Backbone, Protocol):
    """A backbone that can be computed in two parts: ``embed`` and ``hidden_states`` of a batch that has its ``hidden``
    begin there."""

    def hidden_before(self, batch: Batch, block: int) -> Float[Tensor, "batch time hidden"]:
        """What enters a block, without dropout in what comes before it.

        Args:
            batch: of tokens.
            block: from 0; of n blocks n is what comes after them.
        """


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
    """Whether its caches can forget the last tokens alone."""
    conditioning: Conditioning | None
    """What every text needs beside its tokens: the field of a ``Batch`` that ``empty_cache`` is given."""

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

    def run(self, work: Callable[[], T]) -> T:
        """Do what decodes where that belongs, and wait for it: some engines have a thread for it."""

    def empty_cache(self, num_slots: int, source: Batch | None = None) -> Cache:
        """The cache before the first token.

        Args:
            num_slots: how many texts it can hold.
            source: what they are about, a row for each slot, where ``conditioning`` asks for it.
        """

    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Sequence[int], cache: Cache, slots: Sequence[int]
    ) -> Float[Tensor, "rows time hidden"]:
        """Read more tokens: a prompt, a piece of one, the one token just chosen, or several drafted ones.

        Args:
            ids: of row r the first ``lengths[r]`` are read; what comes after is padding.
            lengths: 1 to time for each row.
            cache: gets them, in place.
            slots: which slot each row goes on with; different ones.

        Returns:
            What ``logits`` of the same decoder takes; that of padding means nothing.

        Raises:
            InputError: a slot that is asked for twice, or that is not there.
        """

    def logits(self, hidden: Float[Tensor, "*places hidden"]) -> Float[Tensor, "*places vocabulary"]:
        """Logits of the next token."""


@runtime_checkable
class PackedDecoder(Decoder, Protocol):
    """One that reads texts of any lengths side by side, without filling them up to one length."""

    def extend_packed(
        self,
        ids: Int[np.ndarray, " tokens"],
        lengths: Sequence[int],
        cache: Cache,
        slots: Sequence[int],
        num_places: Sequence[int] | None = None,
    ) -> Float[Tensor, "places hidden"]:
        """As ``extend``, of texts that stand one after the other.

        Args:
            ids: the tokens of all of them.
            lengths: how many of them each has, 1 or more.
            cache: gets them, in place.
            slots: which slot each goes on with; different ones.
            num_places: of each text, of how many of its last tokens the hidden states are wanted, 1 or more: what else
                the last block makes of tokens than their keys and values is then left out. None: of all.
        """


@runtime_checkable
class SumsLogits(Protocol):
    """A decoder that makes log-probabilities of logits sooner than torch does."""

    def log_sums(self, logits: Float[Tensor, "rows tokens"]) -> Float[Tensor, " rows"]:
        """The logarithm of the sum of e to the power of a row's logits: less it, they are log-probabilities."""
