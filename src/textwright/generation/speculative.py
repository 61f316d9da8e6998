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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.generation.filters import Filter, apply_filters
from textwright.generation.loop import hand_over
from textwright.generation.request import SamplingConfig
from textwright.generation.row import Row, Written, window_start
from textwright.generation.sampling import draw, likeliest
from textwright.generation.text_index import TextIndex
from textwright.models.protocols import Decoder, DecodeState

NUM_SPECULATIVE_TOKENS = 3
"""With the token before them they are one tile of the kernels."""
LEAST_SURE = 0.05
"""A draft model stops once the product of its largest probabilities is below: what follows would hardly be accepted."""


@dataclass
class Draft:
    """What a drafter guesses."""

    ids: list[int] = field(default_factory=list)
    probabilities: list[Tensor] = field(default_factory=list)
    """For each, the distribution it was drawn from, [vocabulary]; none where the drafter always guesses the same."""


Pick = Callable[[Float[Tensor, "1 vocabulary"], Sequence[int]], tuple[int, Tensor]]
"""From the drafter's logits and what it has drafted so far: the next token, and the distribution it is drawn from."""


@runtime_checkable
class Drafter(Protocol):
    """Guesses how a text goes on."""

    def draft(self, text: TextIndex, count: int, pick: Pick) -> Draft:
        """At most ``count`` tokens after the text."""


class Reading:
    """A decoder's reading of one text after another. What a text has in common with the last is not read again.

    Texts only grow: of one that is read further, what was read before is not even looked at again.
    """

    def __init__(self, decoder: Decoder, vocab_size: int) -> None:
        """
        Args:
            decoder: one that can take back what it has read.
            vocab_size: tokens that may be chosen: a model may have more outputs than there are tokens.
        """
        self._decoder, self._vocab_size = decoder, vocab_size
        # What the state holds: ids[start:end] of a text, and what was thought to come after it.
        self._ids, self._start, self._end, self._thought = list[int](), 0, 0, list[int]()
        self._state: DecodeState = decoder.empty_cache(1)

    def logits(
        self, ids: list[int], places: int, *, start: int = 0, thought: Sequence[int] = ()
    ) -> Float[Tensor, "places vocabulary"]:
        """What comes after each of the last ``places`` tokens of a text.

        Args:
            ids: the text; may only be added to, at the end.
            places: at least 1.
            start: of the first token that the model sees. From there on it is at most as many as the context holds.
            thought: ids that may come after the text.
        """
        num_tokens = len(ids) - start + len(thought)
        kept = min(self._length_in_common(ids, start, thought), num_tokens - places)
        beyond = max(0, start + kept - len(ids))  # of what is thought, so much is kept
        new = torch.tensor([[*ids[start + kept :], *thought[beyond:]]], device=self._decoder.device)
        # The reading of the rest may be interrupted.
        self._ids, self._start, self._end = ids, start, min(start + kept, len(ids))
        self._thought = list(thought[:beyond])
        hidden, self._state = self._decoder.extend(
            new, torch.tensor([new.shape[1]], device=new.device), self._state.crop(torch.tensor([kept]))
        )
        self._end, self._thought = len(ids), list(thought)
        return self._decoder.logits(hidden[0, -places:]).float()[:, : self._vocab_size]

    def _length_in_common(self, ids: list[int], start: int, thought: Sequence[int]) -> int:
        """How many tokens of what was read last this text begins with."""
        is_known = ids is self._ids and start == self._start
        same = self._end if is_known else start
        before = [*self._ids[self._end if is_known else self._start : self._end], *self._thought]
        return same - start + _length_in_common(before, [*ids[same:], *thought])


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
        self._context_length = decoder.context_length
        self._reading = Reading(decoder, vocab_size)
        self._lock = threading.Lock()  # it reads one text at a time, whoever asks

    def draft(self, text: TextIndex, count: int, pick: Pick) -> Draft:
        """As the smaller model would go on, as long as it is sure enough."""
        count = min(count, self._context_length - 1)
        start = window_start(len(text.ids) + count, self._context_length)
        found, sure = Draft(), 1.0
        with self._lock:
            while len(found.ids) < count and sure >= LEAST_SURE:
                logits = self._reading.logits(text.ids, 1, start=start, thought=found.ids)
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

    @torch.inference_mode()
    def write(
        self,
        decoder: Decoder,
        rows: Sequence[Row],
        sampling: SamplingConfig,
        filters: Sequence[Filter],
        *,
        vocab_size: int,
    ) -> None:
        """Write all rows to their end, one after the other; see ``loop.write``."""
        reading = Reading(decoder, vocab_size)
        for row in rows:
            while row.is_open:
                self._step(reading, decoder.context_length, row, sampling, filters)

    def _step(
        self, reading: Reading, context: int, row: Row, sampling: SamplingConfig, filters: Sequence[Filter]
    ) -> None:
        """Guess, read, and write what is accepted."""
        start = row.starts_at(context)
        left = min(sampling.max_new_tokens - row.num_new - 1, context - (len(row.ids) - start))
        draft, texts = self._draft(row, min(self.num_speculative_tokens, left), sampling, filters)
        logits = reading.logits(row.ids, len(texts), start=start, thought=draft.ids)
        self._push(row, draft, apply_filters(logits, filters, texts), logits, sampling)

    def _draft(
        self, row: Row, count: int, sampling: SamplingConfig, filters: Sequence[Filter]
    ) -> tuple[Draft, list[Written]]:
        """A draft as far as it may go: without what follows an end token, or what a constraint does not allow.

        Returns:
            The draft; and what is written at each of its places, its end included.
        """
        if count < 1:
            return Draft(), [row.written]
        draft = self.drafter.draft(row.index, count, _Chooser(row, sampling, filters).pick)
        texts = [row.written]
        for token_id in draft.ids:
            following = texts[-1].followed_by(token_id, row.end_id)
            if following is None:
                break
            texts.append(following)
        return Draft(draft.ids[: len(texts) - 1], draft.probabilities[: len(texts) - 1]), texts

    def _push(
        self,
        row: Row,
        draft: Draft,
        filtered: Float[Tensor, "places vocabulary"],
        logits: Float[Tensor, "places vocabulary"],
        sampling: SamplingConfig,
    ) -> None:
        """The drafted tokens as far as they are accepted, and the token after them."""
        chosen = _agree(draft, filtered, row, sampling)
        self.proposed += len(draft.ids)
        self.accepted += len(chosen) - 1
        count, ids = len(chosen), torch.tensor(chosen, device=logits.device)
        hand_over([row] * count, ids, logits[:count], filtered[:count], sampling)


class _Chooser:
    """Chooses a draft's tokens as a row's own are chosen, with random numbers of their own."""

    def __init__(self, row: Row, sampling: SamplingConfig, filters: Sequence[Filter]) -> None:
        self._row, self._sampling, self._filters = row, sampling, filters
        self._text = row.written

    def pick(self, logits: Float[Tensor, "1 vocabulary"], so_far: Sequence[int]) -> tuple[int, Tensor]:
        """See ``Pick``."""
        if so_far:
            self._text = self._text.followed_by(so_far[-1], self._row.end_id) or self._text
        filtered = apply_filters(logits, self._filters, [self._text])
        q = filtered.softmax(dim=-1)
        if self._sampling.temperature == 0:
            return int(likeliest(filtered)), q[0]
        return int(draw(q, [self._row.uniform("draft", len(so_far))])), q[0]


def _agree(draft: Draft, filtered: Float[Tensor, "places vocabulary"], row: Row, sampling: SamplingConfig) -> list[int]:
    """The drafted tokens that are accepted, and the one that is chosen after them."""
    if sampling.temperature == 0:
        wanted = likeliest(filtered).tolist()
        same = _length_in_common(wanted, draft.ids)
        return [*draft.ids[:same], wanted[same]]
    p = filtered.softmax(dim=-1)
    for place, token_id in enumerate(draft.ids):
        q = draft.probabilities[place] if draft.probabilities else _certainly(token_id, p[place])
        if row.uniform("accept", place) * float(q[token_id]) < float(p[place, token_id]):
            continue
        rest = (p[place] - q.to(p.device)).clamp(min=0)
        # Equal but for rounding: then there is nothing in the rest, and p itself is as good.
        rest = rest if float(rest.sum()) > 0 else p[place]
        return [*draft.ids[:place], int(draw(rest[None], [row.uniform("sampling", place)]))]
    return [*draft.ids, int(draw(p[-1:], [row.uniform("sampling", len(draft.ids))]))]


def _certainly(token_id: int, like: Tensor) -> Tensor:
    certain = torch.zeros_like(like)
    certain[token_id] = 1.0
    return certain


def _length_in_common(one: list[int], other: list[int]) -> int:
    if other[: len(one)] == one:
        return len(one)
    length = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        length += 1
    return length
