"""Contrastive search: of the likeliest tokens, the one that is least like what has been said.

::

    logits ──processors──> the k likeliest ──read each, in k slots──> k hidden states
                             │ probability                               │ greatest cosine with those before
                             └───────> (1 - alpha) p - alpha cosine <────┘
                                                │ greatest
                          token, its logits, its slot, its hidden state ──> next step
"""

from collections.abc import Sequence as Several
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from textwright.generation.decoding import Decoding, Read
from textwright.generation.processors.catalog import apply_processors
from textwright.generation.sampling import append_tokens, argmax
from textwright.generation.sequence import Sequence
from textwright.models.protocols import Cache, Decoder

NUM_CANDIDATES = 4
"""Where ``top_k`` is not given."""


class ContrastiveSearch(Decoding):
    """One text, and in each of its slots the text with another candidate.

    Source: Su et al. 2022 (arXiv:2202.06417), equation 5.
    """

    keeps_hidden = True

    def __init__(self, sequences: Several[Sequence], vocab_size: int) -> None:
        super().__init__(sequences, vocab_size)
        sampling = sequences[0].sampling
        assert sampling.penalty_alpha is not None
        self._alpha, self.num_slots = sampling.penalty_alpha, min(sampling.top_k or NUM_CANDIDATES, vocab_size)
        self._seen = torch.empty(0)
        """The hidden states of prompt and text, each of length 1, [tokens, hidden]; with room for more."""
        self._num_seen = 0
        self._num_shared = 0
        """Tokens that all slots hold alike."""
        self._best = 0
        """The slot of the token that was chosen last."""

    def begin(self, slots: Several[int], cache: Cache) -> None:
        """See ``Decoding``."""
        super().begin(slots, cache)
        self._best = self.slots[0]
        self._candidates: Tensor | None = None

    def look(self, hidden: Float[Tensor, "time hidden"]) -> None:
        """Remember what the prompt's tokens were like."""
        self._remember(normalize(hidden.float(), dim=-1))

    def reads(self) -> list[Read]:
        """Each candidate, after the text."""
        assert self._candidates is not None
        return [Read(slot, (token,)) for slot, token in zip(self.slots, self._candidates.tolist(), strict=True)]

    @classmethod
    def advance(cls, decodings: Several[Self], hidden: Float[Tensor, "places hidden"], decoder: Decoder) -> None:
        """Choose among the candidates, where there are some, and find the next ones."""
        chosen = list[Tensor]()
        first = 0
        for decoding in decodings:
            count = 1 if decoding._candidates is None else decoding.num_slots
            states = hidden[first : first + count]
            chosen.append(states if decoding._candidates is None else decoding._choose(states, decoder))
            first += count
        going_on = [index for index, decoding in enumerate(decodings) if decoding.is_open]
        if not going_on:
            return
        logits = decoder.logits(torch.cat([chosen[index] for index in going_on])).float()
        argmax(logits)  # refuses what is not a number
        for index, row in zip(going_on, logits, strict=True):
            decodings[index]._find_candidates(row[None, : decodings[index].vocab_size])

    def _choose(self, states: Float[Tensor, "candidates hidden"], decoder: Decoder) -> Float[Tensor, "1 hidden"]:
        """Write one of the candidates; its hidden state."""
        assert self._candidates is not None
        sequence, directions = self.sequences[0], normalize(states.float(), dim=-1)
        cosines = (directions @ self._seen[: self._num_seen].T).amax(dim=-1)
        scores = torch.lerp(self._p, -cosines, self._alpha)
        # A processor has the last word, however new a token that it rules out would be.
        best = int(scores.masked_fill(self._filtered[0, self._candidates] == -torch.inf, -torch.inf).argmax())
        append_tokens([sequence], self._candidates[best : best + 1], self._logits, self._filtered, decoder)
        self._best = self.slots[best]
        self._remember(directions[best : best + 1])
        return states[best : best + 1]

    def _remember(self, directions: Float[Tensor, "tokens hidden"]) -> None:
        count = self._num_seen + len(directions)
        if count > len(self._seen):
            grown = directions.new_empty((max(count, 2 * self._num_seen), directions.shape[1]))
            grown[: self._num_seen] = self._seen[: self._num_seen] if self._num_seen else 0
            self._seen = grown
        self._seen[self._num_seen : count] = directions
        self._num_seen = count

    def _find_candidates(self, logits: Float[Tensor, "1 vocabulary"]) -> None:
        """The likeliest next tokens, and the text in a slot for each."""
        sequence = self.sequences[0]
        self._logits = logits
        self._filtered = apply_processors(logits, sequence.pipeline.processors, [sequence.history])
        p, candidates = self._filtered.softmax(dim=-1).topk(self.num_slots, dim=-1)
        self._p, self._candidates = p[0], candidates[0]
        for slot in self.slots:
            if slot != self._best:
                self.cache.fork(self._best, slot, start=self._num_shared)
        self._num_shared = self.cache.length(self._best)
