"""How a request is decoded: a client of the scheduler's cache, in slots of its own.

::

    scheduler   reads the prompt into slots[0] ──> hidden state of its end ──> advance
                           reads() of all ──> one extend ──> hidden states ──> advance ──> reads() ...

A client says what it wants read next, and makes of the hidden states what it likes: a token, a better beam, an accepted
draft. Between the two it may fork and crop its own slots. Clients of one class advance together.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence as Several
from dataclasses import dataclass
from typing import ClassVar, Self

from jaxtyping import Float
from torch import Tensor

from textwright.generation.sequence import Sequence, window_start
from textwright.models.protocols import Cache, Decoder


@dataclass(frozen=True)
class Read:
    """Tokens to be read: what a slot goes on with."""

    slot: int
    ids: Several[int]
    num_places: int = 1
    """Of the last of them so many hidden states are wanted."""


class Decoding(ABC):
    """A request while it is decoded.

    Attributes:
        sequences: what comes of it, one or several texts.
        slots: its own, ``num_slots`` of them, once it has begun.
        cache: where they are.
        context_length: the most tokens of the text that the model sees at once.
        start: the place of the first token that the model sees.
        base: how many tokens stand before it in the slots: a prefix.
    """

    num_slots = 1
    slides: ClassVar[bool] = False
    """Whether it goes on, with less to see, where the text outgrows the context."""
    keeps_hidden: ClassVar[bool] = False
    """Whether it is shown the hidden states of the whole prompt, by ``look``."""
    cache: Cache
    slots: list[int]
    context_length: int

    def __init__(self, sequences: Several[Sequence], vocab_size: int) -> None:
        """
        Args:
            sequences: open ones, of one prompt.
            vocab_size: tokens that may be chosen: a model may have more outputs than there are tokens.
        """
        self.sequences, self.vocab_size = list(sequences), vocab_size
        self.context_length = self.start = self.base = 0

    @property
    def is_open(self) -> bool:
        """Whether it wants to read on."""
        return any(sequence.is_open for sequence in self.sequences)

    @property
    def num_kept(self) -> int | None:
        """How many tokens of the first sequence, from ``start`` on, the first slot holds; None where it is not so."""
        return None

    def next_start(self) -> int:
        """Where the model has to begin to see the text before its next token."""
        return window_start(len(self.sequences[0].ids), self.context_length) if self.slides else 0

    def begin(self, slots: Several[int], cache: Cache) -> None:
        """Get slots; the prompt is read into the first of them before ``advance`` is called."""
        self.slots, self.cache = list(slots), cache

    def look(self, hidden: Float[Tensor, "time hidden"]) -> None:
        """See the hidden states of the next tokens of the prompt, where ``keeps_hidden``."""
        raise NotImplementedError(f"{type(self).__name__} asked for {len(hidden)} hidden states and does not look")

    @abstractmethod
    def reads(self) -> list[Read]:
        """What is to be read next, each slot at most once."""

    @classmethod
    @abstractmethod
    def advance(cls, decodings: Several[Self], hidden: Float[Tensor, "places hidden"], decoder: Decoder) -> None:
        """Go on with what was read.

        Args:
            decodings: clients of this class.
            hidden: what each asked for, one after the other; the first time it is the prompt's last.
            decoder: makes logits of them.

        Raises:
            InputError: logits that are not finite.
        """
