"""Speculative decoding: a drafter guesses several tokens, the model reads them at once and keeps what it agrees with.

::

    drafter    the  cat  sat  on         the model reads [cat sat on], and says of each place what it would have said
    model      the  cat  lay             "cat" is accepted, "sat" is not: "lay" is drawn in its place

What is written has exactly the distribution of plain decoding: a drafted token x is accepted with probability
min(1, p(x) / q(x)), where p is the model's distribution after the filters and q the drafter's; where it is not, another
is drawn from what p has more than q. With temperature 0 it is the same text.

Source: Leviathan et al. 2023 (arXiv:2211.17192), algorithm 1; prompt lookup: Saxena 2023,
https://github.com/apoorvumang/prompt-lookup-decoding.
"""

import threading
import weakref
from collections.abc import Callable
from collections.abc import Sequence as Several
from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.generation.decoding import Decoding, Read
from textwright.generation.processors.catalog import apply_processors
from textwright.generation.sampling import append_tokens, argmax, sample_categorical
from textwright.generation.sequence import Sequence, window_start
from textwright.generation.text_index import TextIndex, length_in_common
from textwright.models.protocols import Decoder

NUM_SPECULATIVE_TOKENS = 3
"""With the token before them they are one tile of the kernels."""
MIN_DRAFT_CONFIDENCE = 0.05
"""A draft model stops once the product of its largest probabilities is below: what follows would hardly be accepted."""


@dataclass
class Draft:
    """What a drafter guesses."""

    ids: list[int] = field(default_factory=list)
    probabilities: list[Tensor] = field(default_factory=list)
    """For each, the distribution it was drawn from, [vocabulary]; none where the drafter always guesses the same."""


Pick = Callable[[Float[Tensor, "1 vocabulary"], Several[int]], tuple[int, Tensor]]
"""From the drafter's logits and what it has drafted so far: the next token, and the distribution it is drawn from."""


@runtime_checkable
class Drafter(Protocol):
    """Guesses how a text goes on."""

    def draft(self, text: TextIndex, count: int, pick: Pick) -> Draft:
        """At most ``count`` tokens after the text."""


class IncrementalScorer:
    """Reads a text that grows, and what is thought to come after it. What was read before is not read again.

    Texts only grow: of one that is read further, what was read before is not even looked at again.
    """

    def __init__(self, decoder: Decoder, vocab_size: int) -> None:
        """
        Args:
            decoder: one that can take back what it has read.
            vocab_size: tokens that may be chosen: a model may have more outputs than there are tokens.
        """
        self._decoder, self._vocab_size = decoder, vocab_size
        # What the cache holds: ids[start:end] of the text, and what was drafted after it.
        self._start, self._end, self._drafted = 0, 0, list[int]()
        self._cache = decoder.empty_cache(1)

    def logits(self, ids: list[int], *, start: int, drafted: Several[int]) -> Float[Tensor, "1 vocabulary"]:
        """What comes after a text and what is drafted.

        Args:
            ids: the text, the same each time; may only be added to, at the end.
            start: of the first token that the model sees. From there on it is at most as many as the context holds.
            drafted: ids that may come after the text.
        """
        kept = 0
        if start == self._start:
            ahead = [*ids[self._end :], *drafted]
            kept = self._end - start + length_in_common(self._drafted, ahead)
        kept = min(kept, len(ids) - start + len(drafted) - 1)
        beyond = max(0, start + kept - len(ids))  # of what is drafted, so much is kept
        new = torch.tensor([[*ids[start + kept :], *drafted[beyond:]]], device=self._decoder.device)
        # The reading of the rest may be interrupted.
        self._start, self._end, self._drafted = start, min(start + kept, len(ids)), list(drafted[:beyond])
        self._cache.crop(0, min(kept, self._cache.length(0)))
        hidden = self._decoder.extend(new, [new.shape[1]], self._cache, [0])
        self._end, self._drafted = len(ids), list(drafted)
        return self._decoder.logits(hidden[0, -1:]).float()[:, : self._vocab_size]


class ModelDrafter:
    """A smaller model with the same tokenizer."""

    def __init__(self, decoder: Decoder, vocab_size: int) -> None:
        """
        Args:
            decoder: of the smaller model.
            vocab_size: the tokenizer's.

        Raises:
            InputError: its vocabulary is smaller than the tokenizer's, or it cannot take back what it has read.
        """
        if decoder.vocab_size < vocab_size:
            raise InputError(
                f"a draft model of {decoder.vocab_size:,} tokens for a tokenizer of {vocab_size:,}",
                fix="use a draft model that was trained with the same tokenizer",
            )
        if not decoder.can_crop:
            raise InputError("a draft model that cannot take back what it has read", fix="use a GPT")
        self._decoder, self._vocab_size = decoder, vocab_size
        self._scorers: weakref.WeakKeyDictionary[TextIndex, IncrementalScorer] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()  # it reads one text at a time, whoever asks

    def draft(self, text: TextIndex, count: int, pick: Pick) -> Draft:
        """As the smaller model would go on, as long as it is sure enough."""
        context = self._decoder.context_length
        count = min(count, context - 1)
        start = window_start(len(text.ids) + count, context)
        found, sure = Draft(), 1.0
        with self._lock:
            if text not in self._scorers:
                self._scorers[text] = IncrementalScorer(self._decoder, self._vocab_size)
            scorer = self._scorers[text]
            while len(found.ids) < count and sure >= MIN_DRAFT_CONFIDENCE:
                logits = scorer.logits(text.ids, start=start, drafted=found.ids)
                token_id, q = pick(logits, found.ids)
                found.ids.append(token_id)
                found.probabilities.append(q)
                sure *= float(q.max())
        return found


class PromptLookup:
    """Guesses that the text goes on as it did the last time its end occurred. Needs no model."""

    def draft(self, text: TextIndex, count: int, _: Pick) -> Draft:
        """What followed the most recent place that is like the end, by its longest likeness up to three tokens.

        Twice as many tokens as are alike: the longer the likeness, the more likely it goes on.
        """
        length, place = text.last_likeness()
        return Draft(text.ids[place : place + min(count, 2 * length)])


@dataclass
class Speculation:
    """How to speculate, and how it went."""

    drafter: Drafter
    num_speculative_tokens: int = NUM_SPECULATIVE_TOKENS
    """Tokens guessed at a time, at most; a drafter stops earlier where it is not sure."""
    proposed: int = 0
    accepted: int = 0

    @property
    def acceptance_rate(self) -> float:
        """The part of the drafted tokens that were accepted."""
        return self.accepted / self.proposed if self.proposed else 0.0

    def decoding(self, sequence: Sequence, vocab_size: int) -> "SpeculativeSampling":
        """What decodes a sequence, guessing ahead."""
        return SpeculativeSampling(sequence, vocab_size, self)


class SpeculativeSampling(Decoding):
    """One text, one slot, as many tokens at a time as the model agrees with."""

    slides = True

    def __init__(self, sequence: Sequence, vocab_size: int, speculation: Speculation) -> None:
        super().__init__([sequence], vocab_size)
        self._sequence, self._speculation = sequence, speculation
        self._draft, self._histories = Draft(), [sequence.history]

    @property
    def num_kept(self) -> int | None:
        """Everything but the last token, which is read next."""
        return len(self._sequence.ids) - self.start - 1

    def reads(self) -> list[Read]:
        """The last token, and what is drafted after it."""
        sequence = self._sequence
        left = sequence.sampling.max_new_tokens - sequence.num_new_tokens - 1
        left = min(left, self.context_length - (len(sequence.ids) - self.start))
        self._make_draft(min(self._speculation.num_speculative_tokens, left))
        ids = (sequence.ids[-1], *self._draft.ids)
        return [Read(self.slots[0], ids, len(ids))]

    def _make_draft(self, count: int) -> None:
        """A draft as far as it may go: without what follows an end token, or what a constraint does not allow."""
        sequence = self._sequence
        self._draft, self._histories = Draft(), [sequence.history]
        if count < 1:
            return
        draft = self._speculation.drafter.draft(sequence.index, count, DraftSampler(sequence).pick)
        for token_id in draft.ids:
            following = self._histories[-1].followed_by(token_id, sequence.end_ids)
            if following is None:
                break
            self._histories.append(following)
        places = len(self._histories) - 1
        self._draft = Draft(draft.ids[:places], draft.probabilities[:places])

    @classmethod
    def advance(cls, decodings: Several[Self], hidden: Float[Tensor, "places hidden"], decoder: Decoder) -> None:
        """Write what is accepted of each draft, and the token after it."""
        logits = decoder.logits(hidden).float()[:, : decodings[0].vocab_size]
        for decoding, rows in zip(
            decodings, torch.split(logits, [len(one._histories) for one in decodings]), strict=True
        ):
            decoding._accept(rows, decoder)

    def _accept(self, logits: Float[Tensor, "places vocabulary"], decoder: Decoder) -> None:
        sequence, draft = self._sequence, self._draft
        filtered = apply_processors(logits, sequence.pipeline.processors, self._histories)
        chosen = rejection_sample(draft, filtered, sequence)
        self._speculation.proposed += len(draft.ids)
        self._speculation.accepted += len(chosen) - 1
        count, ids = len(chosen), torch.tensor(chosen, device=logits.device)
        append_tokens([sequence] * count, ids, logits[:count], filtered[:count], decoder)
        kept = self.base + len(sequence.ids) - self.start - 1
        self.cache.crop(self.slots[0], min(kept, self.cache.length(self.slots[0])))
        self._draft, self._histories = Draft(), [sequence.history]


class DraftSampler:
    """Chooses a draft's tokens as a sequence's own are chosen, with random numbers of their own."""

    def __init__(self, sequence: Sequence) -> None:
        self._sequence, self._history = sequence, sequence.history

    def pick(self, logits: Float[Tensor, "1 vocabulary"], so_far: Several[int]) -> tuple[int, Tensor]:
        """See ``Pick``."""
        pipeline = self._sequence.pipeline
        if so_far:
            self._history = self._history.followed_by(so_far[-1], self._sequence.end_ids) or self._history
        filtered = apply_processors(logits, pipeline.processors, [self._history])
        q = filtered.softmax(dim=-1)
        if not pipeline.draws:
            return int(argmax(filtered)), q[0]
        return int(sample_categorical(q, [self._sequence.uniform("draft", len(so_far))])), q[0]


def rejection_sample(draft: Draft, filtered: Float[Tensor, "places vocabulary"], sequence: Sequence) -> list[int]:
    """The drafted tokens that are accepted, and the one that is chosen after them."""
    if not sequence.pipeline.draws:
        wanted = argmax(filtered).tolist()
        same = length_in_common(wanted, draft.ids)
        return [*draft.ids[:same], wanted[same]]
    p = filtered.softmax(dim=-1)
    for place, token_id in enumerate(draft.ids):
        q = draft.probabilities[place] if draft.probabilities else one_hot(token_id, p[place])
        if sequence.uniform("accept", place) * float(q[token_id]) < float(p[place, token_id]):
            continue
        rest = (p[place] - q.to(p.device)).clamp(min=0)
        # Equal but for rounding: then there is nothing in the rest, and p itself is as good.
        rest = rest if float(rest.sum()) > 0 else p[place]
        return [*draft.ids[:place], int(sample_categorical(rest[None], [sequence.uniform("sampling", place)]))]
    return [*draft.ids, int(sample_categorical(p[-1:], [sequence.uniform("sampling", len(draft.ids))]))]


def one_hot(token_id: int, like: Tensor) -> Tensor:
    """The distribution of what is certain."""
    certain = torch.zeros_like(like)
    certain[token_id] = 1.0
    return certain
