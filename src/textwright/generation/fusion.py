"""Several models that share a tokenizer, as one: their probabilities are mixed.

::

    hidden   [ of model A | of model B ]        p = 0.7 p_A + 0.3 p_B        logits = log p

Source: Jacobs et al. 1991 (Neural Computation 3, 79), equation 1.2, with constant gates.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.core.errors import InputError
from textwright.models.protocols import Decoder, DecodeState


class FusedState:
    """The states of all models, side by side."""

    def __init__(self, states: Sequence[DecodeState]) -> None:
        self.states = list(states)

    @property
    def lengths(self) -> Int[Tensor, " rows"]:
        """How many tokens each row holds."""
        return self.states[0].lengths

    @property
    def size_bytes(self) -> int:
        """Memory it takes."""
        return sum(state.size_bytes for state in self.states)

    def select(self, rows: Sequence[int] | Int[Tensor, " chosen"]) -> Self:
        """The state of these rows, in this order; a row may come twice."""
        return type(self)([state.select(rows) for state in self.states])

    def concat(self, other: Self) -> Self:
        """The rows of both, this one's first."""
        return type(self)([mine.concat(theirs) for mine, theirs in zip(self.states, other.states, strict=True)])

    def crop(self, lengths: Int[Tensor, " rows"]) -> Self:
        """The state as it was when the rows held so many tokens."""
        return type(self)([state.crop(lengths) for state in self.states])


class FusedDecoder:
    """A decoder that mixes what several say."""

    def __init__(self, decoders: Sequence[Decoder], weights: Sequence[float]) -> None:
        """
        Args:
            decoders: with one vocabulary between them.
            weights: how much each counts; they are scaled to a sum of 1.

        Raises:
            InputError: different vocabularies, or weights that are not one positive number each.
        """
        if len(weights) != len(decoders) or not all(math.isfinite(w) and w > 0 for w in weights):
            given = " ".join(f"{weight:g}" for weight in weights)
            raise InputError(f"weights {given}", expected=f"{len(decoders)} positive numbers, one for each model")
        if len({decoder.vocab_size for decoder in decoders}) > 1:
            sizes = ", ".join(f"{decoder.vocab_size:,}" for decoder in decoders)
            raise InputError(f"models of {sizes} tokens", expected="one vocabulary for all of them")
        self._decoders = list(decoders)
        self._log_weights = [math.log(weight / sum(weights)) for weight in weights]
        self.can_crop = all(decoder.can_crop for decoder in decoders)

    @property
    def vocab_size(self) -> int:
        """Number of different tokens."""
        return self._decoders[0].vocab_size

    @property
    def context_length(self) -> int:
        """What the model that sees least sees at once."""
        return min(decoder.context_length for decoder in self._decoders)

    @property
    def hidden_size(self) -> int:
        """Of all models' hidden states together."""
        return sum(decoder.hidden_size for decoder in self._decoders)

    @property
    def device(self) -> torch.device:
        """Where the first model's ids go; the others' are taken along."""
        return self._decoders[0].device

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """All models at work."""
        with ExitStack() as stack:
            for decoder in self._decoders:
                stack.enter_context(decoder.at_work())
            yield

    def empty_cache(self, rows: int) -> FusedState:
        """The state before the first token."""
        return FusedState([decoder.empty_cache(rows) for decoder in self._decoders])

    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Int[Tensor, " rows"], state: DecodeState
    ) -> tuple[Float[Tensor, "rows time width"], FusedState]:
        """Read more tokens with every model; hidden states stand one behind the other."""
        assert isinstance(state, FusedState)
        found = [
            decoder.extend(ids.to(decoder.device), lengths.to(decoder.device), its)
            for decoder, its in zip(self._decoders, state.states, strict=True)
        ]
        hidden = [part.float().to(self.device) for part, _ in found]
        return torch.cat(hidden, dim=-1), FusedState([its for _, its in found])

    def logits(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """The logarithm of the mixed probabilities."""
        parts = torch.split(hidden, [decoder.hidden_size for decoder in self._decoders], dim=-1)
        mixed = [
            decoder.logits(part.to(decoder.device)).float().log_softmax(dim=-1).to(self.device) + log_weight
            for decoder, part, log_weight in zip(self._decoders, parts, self._log_weights, strict=True)
        ]
        return torch.stack(mixed).logsumexp(dim=0)
