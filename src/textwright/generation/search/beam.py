"""Beam search: the likeliest texts, found by carrying the best few beginnings along.

::

    live beams ──> logits ──log-softmax, processors, + score──> the best 2 x num_beams tokens of all beams
        ^                                                          │
        │                        goes on: the best num_beams ──────┤
        └──────────────────────────────────────────────────────────┤
                                  ends, in the best num_beams: ────┴──> ended beams, the best num_beams of them

A prompt is done when no live beam can beat the worst of its ended beams any more. Diverse beams search in groups, one
after the other: what an earlier group takes in a place costs a later one there.
"""

import math
from collections.abc import Sequence as Several
from dataclasses import dataclass, field
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.generation.decoding import Decoding, Read
from textwright.generation.processors.catalog import apply_processors
from textwright.generation.request import TokenLogprobs
from textwright.generation.sampling import argmax
from textwright.generation.sequence import Sequence
from textwright.generation.text_index import length_in_common
from textwright.generation.token_logprobs import token_logprobs
from textwright.models.protocols import Cache, Decoder

Choice = tuple[int, float, TokenLogprobs | None]
"""What ``Sequence.append`` takes."""


@dataclass(frozen=True)
class Beam:
    """A text that the search has come upon.

    Attributes:
        sequence: a fork of the one that is to be written; it knows whether the text has ended.
        slot: which holds its text, but for the last token.
        choices: how it came about, token by token.
        score: the sum of its log-probabilities after the processors, in nats.
    """

    sequence: Sequence
    slot: int
    choices: tuple[Choice, ...] = ()
    score: float = 0.0

    def normalised_score(self, length_penalty: float) -> float:
        """What beams of different lengths are compared by; the higher, the better."""
        return self.score / math.pow(len(self.choices), length_penalty)

    def continued(self, choice: Choice, score: float) -> Self:
        """The text with one more token."""
        sequence = self.sequence.fork()
        sequence.append(*choice)
        return type(self)(sequence, self.slot, (*self.choices, choice), score)


@dataclass
class BeamGroup:
    """Beams that are compared with each other."""

    live: list[Beam]
    ended: list[Beam] = field(default_factory=list)


class BeamSearch(Decoding):
    """The best continuations of a prompt, the best first; text is shown when the search is over.

    It finds what transformers finds with ``early_stopping=False``: a live beam is taken to rank no better later than
    it does now, which is a guess where the length penalty helps long texts. Where there are fewer different texts than
    sequences, the last one comes again.

    Source: Graves 2012 (arXiv:1211.3711), section 2.5; length penalty and the end of the search as in transformers;
    groups: Vijayakumar et al. 2016 (arXiv:1610.02424), algorithm 1, with the Hamming distance.
    """

    def __init__(self, sequences: Several[Sequence], vocab_size: int) -> None:
        super().__init__(sequences, vocab_size)
        self.sampling = sequences[0].sampling
        self.num_slots = self.sampling.num_beams
        self._held: dict[int, list[int]] = {}
        """Of each slot, the text it holds the beginning of."""

    def begin(self, slots: Several[int], cache: Cache) -> None:
        """See ``Decoding``."""
        super().begin(slots, cache)
        for slot in slots[1:]:
            self._held[slot] = []
        root = self.sequences[0].fork()
        self._held[slots[0]] = root.ids
        # Every group begins with the prompt, which is in the first slot.
        self._groups = [BeamGroup([Beam(root, slots[0])]) for _ in range(self.sampling.num_beam_groups)]

    def reads(self) -> list[Read]:
        """The last token of every live beam."""
        return [Read(beam.slot, (beam.sequence.ids[-1],)) for group in self._groups for beam in group.live]

    @classmethod
    def advance(cls, decodings: Several[Self], hidden: Float[Tensor, "places hidden"], decoder: Decoder) -> None:
        """Continue every search."""
        logprobs = decoder.logits(hidden).float()[:, : decodings[0].vocab_size].log_softmax(dim=-1)
        argmax(logprobs)  # refuses what is not a number
        first = 0
        for decoding in decodings:
            first += decoding._continue(logprobs[first:])

    def _continue(self, logprobs: Tensor) -> int:
        """Find the next beams of every group; returns how many rows of log-probabilities those before had."""
        is_first = not self._groups[0].live[0].choices if self._groups[0].live else False
        used, taken, found = 0, list[int](), list[Beam]()
        for group in self._groups:
            count = len(group.live)
            rows = logprobs[:1] if is_first else logprobs[used : used + count]
            used += count
            if count:
                self._step(group, rows, taken)
                found += group.live
                taken += [beam.choices[-1][0] for beam in group.live]
        self._place(found)
        if not any(group.live for group in self._groups):
            self._finish()
        return 1 if is_first else used

    def _step(self, group: BeamGroup, logprobs: Tensor, taken: Several[int]) -> None:
        sampling = self.sampling
        width, penalty = sampling.num_beams // sampling.num_beam_groups, sampling.length_penalty
        found = self._continuations(group.live, logprobs, 2 * width, taken)
        # What ends beyond the best is passed over: only a text that stands among the best may end the search.
        group.ended += [beam for beam in found[:width] if not beam.sequence.is_open]
        group.ended = sorted(group.ended, key=lambda beam: beam.normalised_score(penalty), reverse=True)[:width]
        group.live = [beam for beam in found if beam.sequence.is_open][:width]
        worst = group.ended[-1].normalised_score(penalty) if len(group.ended) == width else -math.inf
        if group.live and group.live[0].normalised_score(penalty) <= worst:
            group.live = []

    def _continuations(
        self, beams: Several[Beam], logprobs: Float[Tensor, "beams vocabulary"], count: int, taken: Several[int]
    ) -> list[Beam]:
        """The ``count`` best beams that are one token longer, the best first; fewer where processors leave fewer."""
        pipeline = self.sequences[0].pipeline
        filtered = apply_processors(logprobs, pipeline.processors, [beam.sequence.history for beam in beams])
        if taken:
            costs = torch.bincount(torch.tensor(taken), minlength=self.vocab_size).to(filtered)
            filtered = filtered - self.sampling.diversity_penalty * costs
        totals = filtered + filtered.new_tensor([beam.score for beam in beams])[:, None]
        best = totals.flatten().topk(min(count, totals.numel()))
        places = best.indices[best.values.isfinite()]
        parents, ids = places // totals.shape[1], places % totals.shape[1]
        reports: list[TokenLogprobs] | list[None] = [None] * len(ids)
        if pipeline.top_logprobs is not None:
            reports = token_logprobs(logprobs[parents], filtered[parents], ids, pipeline.top_logprobs)
        numbers = zip(
            parents.tolist(), ids.tolist(), logprobs[parents, ids].tolist(), best.values.tolist(), strict=False
        )
        return [
            beams[parent].continued((token_id, logprob, report), score)
            for (parent, token_id, logprob, score), report in zip(numbers, reports, strict=True)
        ]

    def _place(self, beams: Several[Beam]) -> None:
        """Give each live beam a slot: the first child of a parent stays where it was, others get a copy."""
        parents = {beam.slot for beam in beams}
        unused = [slot for slot in self.slots if slot not in parents]
        settled = set[int]()
        for group in self._groups:
            for index, beam in enumerate(group.live):
                slot, ids = beam.slot, beam.sequence.ids
                if slot in settled:
                    # Of the unused slots the one that holds most of the text already.
                    slot = max(unused, key=lambda other: length_in_common(self._held[other], ids))
                    unused.remove(slot)
                    same = length_in_common(self._held[slot], ids[:-1])
                    self.cache.fork(beam.slot, slot, start=self.base + same if same else 0)
                    group.live[index] = Beam(beam.sequence, slot, beam.choices, beam.score)
                settled.add(slot)
                self._held[slot] = ids

    def _finish(self) -> None:
        penalty = self.sampling.length_penalty
        ended = [beam for group in self._groups for beam in group.ended]
        best = sorted(ended, key=lambda beam: beam.normalised_score(penalty), reverse=True)
        for index, sequence in enumerate(self.sequences):
            for choice in best[min(index, len(best) - 1)].choices:
                sequence.append(*choice)
