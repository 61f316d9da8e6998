"""Several models that share a tokenizer, as one: their probabilities are mixed.

::

    hidden   [ of model A | of model B ]        p = 0.7 p_A + 0.3 p_B        logits = log p

Source: Jacobs et al. 1991 (Neural Computation 3, 79), equation 1.2, with constant gates.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.protocols import Cache, Conditioning, Decoder, T


class EnsembleCache:
    """The caches of all models, slot by slot."""

    def __init__(self, caches: Sequence[Cache]) -> None:
        self.caches = list(caches)

    @property
    def num_slots(self) -> int:
        """How many texts it can hold."""
        return self.caches[0].num_slots

    def length(self, slot: int) -> int:
        """How many tokens a slot holds."""
        return self.caches[0].length(slot)

    def bytes_for(self, length: int) -> int:
        """Memory of a slot that holds so many tokens."""
        return sum(cache.bytes_for(length) for cache in self.caches)

    def crop(self, slot: int, length: int) -> None:
        """Let a slot hold only its first tokens."""
        for cache in self.caches:
            cache.crop(slot, length)

    def fork(self, source: int, target: int, *, start: int = 0, length: int | None = None) -> None:
        """Let a slot hold what another does; see ``Cache.fork``."""
        for cache in self.caches:
            cache.fork(source, target, start=start, length=length)

    def put(self, slot: int, other: Self) -> None:
        """Let a slot hold what the first of another cache does."""
        for mine, theirs in zip(self.caches, other.caches, strict=True):
            mine.put(slot, theirs)


class EnsembleDecoder:
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
        needs = {decoder.conditioning for decoder in decoders}
        if len(needs) > 1:
            raise InputError("models of which only some need a source", expected="the same of all of them")
        self.conditioning: Conditioning | None = needs.pop()

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

    def run(self, work: Callable[[], T]) -> T:
        """Where each of them wants it."""
        for decoder in self._decoders:
            work = partial(decoder.run, work)
        return work()

    def empty_cache(self, num_slots: int, source: Batch | None = None) -> EnsembleCache:
        """The cache before the first token."""
        return EnsembleCache([decoder.empty_cache(num_slots, source) for decoder in self._decoders])

    def extend(
        self, ids: Int[Tensor, "rows time"], lengths: Sequence[int], cache: Cache, slots: Sequence[int]
    ) -> Float[Tensor, "rows time hidden"]:
        """Read more tokens with every model; hidden states stand one behind the other."""
        assert isinstance(cache, EnsembleCache)
        found = [
            decoder.extend(ids.to(decoder.device), lengths, its, slots)
            for decoder, its in zip(self._decoders, cache.caches, strict=True)
        ]
        return torch.cat([part.float().to(self.device) for part in found], dim=-1)

    def logits(self, hidden: Float[Tensor, "*places width"]) -> Float[Tensor, "*places vocabulary"]:
        """The logarithm of the mixed probabilities."""
        parts = torch.split(hidden, [decoder.hidden_size for decoder in self._decoders], dim=-1)
        mixed = [
            decoder.logits(part.to(decoder.device)).float().log_softmax(dim=-1).to(self.device) + log_weight
            for decoder, part, log_weight in zip(self._decoders, parts, self._log_weights, strict=True)
        ]
        return torch.stack(mixed).logsumexp(dim=0)
