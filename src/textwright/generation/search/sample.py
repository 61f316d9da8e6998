"""Sampling, and greedy decoding: each token for itself."""

from collections.abc import Sequence as Several
from typing import Self

from jaxtyping import Float
from torch import Tensor

from textwright.generation.decoding import Decoding, Read
from textwright.generation.sampling import append_tokens, choose_tokens
from textwright.models.protocols import Decoder


class Sampling(Decoding):
    """One text, one slot, one token at a time."""

    slides = True

    @property
    def num_kept(self) -> int | None:
        """Everything but the last token, which is read next."""
        return len(self.sequences[0].ids) - self.start - 1

    def reads(self) -> list[Read]:
        """The last token."""
        return [Read(self.slots[0], (self.sequences[0].ids[-1],))]

    @classmethod
    def advance(cls, decodings: Several[Self], hidden: Float[Tensor, "places hidden"], decoder: Decoder) -> None:
        """Choose the next token of each."""
        sequences = [decoding.sequences[0] for decoding in decodings]
        logits = decoder.logits(hidden).float()[:, : decodings[0].vocab_size]
        ids, filtered = choose_tokens(logits, sequences)
        append_tokens(sequences, ids, logits, filtered, decoder)
