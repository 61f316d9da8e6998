"""How likely given texts are, token by token, by whatever decodes.

::

    the cat sat | on a mat          what is shared is read once: a slot that holds a text is cropped to what the next
    the cat sat | on a chair        one begins with, and goes on from there
    the cat sat | down

Texts that share little are read side by side in one pass, where the model can.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.generation.text_index import length_in_common
from textwright.models.protocols import Backbone, Cache, Decoder

LOGITS_AT_ONCE = 1 << 24
NUM_SLOTS, MAX_TOKENS_AT_ONCE = 16, 4096
TEXTS_AT_ONCE = 256
"""Looked at together for what they share."""
WORTH_SHARING, MIN_SHARED_TOKENS = 0.8, 16
"""Texts are read by what they share where that leaves at most this part of their tokens, and is so much in each."""


@dataclass(frozen=True)
class ScoredText:
    """Token ids, of which the first ``num_given``, at least one, are given and the others are scored."""

    ids: Sequence[int]
    num_given: int = 1


@dataclass(frozen=True)
class TokenScores:
    """Of each scored token of a text.

    Attributes:
        logprobs: its log-probability in nats, float32.
        is_likeliest: whether no token was likelier.
    """

    logprobs: Float[Tensor, " tokens"]
    is_likeliest: Bool[Tensor, " tokens"]


def score(decoder: Decoder, texts: Iterable[ScoredText], *, batch_size: int = 8) -> Iterator[TokenScores]:
    """The scores of texts, in their order.

    Args:
        decoder: a model, which is put into evaluation mode, or an engine.
        texts: as many as you like, each with at most a token more than the context holds.
        batch_size: texts side by side where nothing is shared. Does not change the result beyond rounding.

    Raises:
        InputError: a text of no given token, of nothing to score, or longer than the context.
    """
    if isinstance(decoder, nn.Module):
        decoder.eval()
    together = max(1, TEXTS_AT_ONCE // batch_size) * batch_size
    for number, group in enumerate(_batched(texts, together)):
        for place, text in enumerate(group, start=1 + number * together):
            _check(text, place, decoder.context_length)
        order = sorted(range(len(group)), key=lambda index: tuple(group[index].ids))
        shares = decoder.can_crop and _is_worth_sharing([group[index] for index in order])
        if isinstance(decoder, Backbone) and not shares:
            for some in _batched(group, batch_size):
                yield from _score_batch(decoder, some)
        else:
            found = decoder.run(partial(_score_in_slots, decoder, [group[index] for index in order]))
            by_place = dict(zip(order, found, strict=True))
            yield from (by_place[place] for place in range(len(group)))


def token_scores(decoder: Decoder, hidden: Float[Tensor, "places hidden"], targets: Tensor) -> TokenScores:
    """The scores of targets after hidden states; logits are made for a part of the places at a time."""
    size = max(1, LOGITS_AT_ONCE // decoder.vocab_size)
    logprobs, likeliest = [hidden.new_zeros(0, dtype=torch.float32)], [targets.new_zeros(0, dtype=torch.bool)]
    for some, wanted in zip(torch.split(hidden, size), torch.split(targets, size), strict=True):
        logits = decoder.logits(some).float()
        logprobs.append(-nn.functional.cross_entropy(logits, wanted, reduction="none"))
        likeliest.append(logits.argmax(dim=1) == wanted)
    return TokenScores(torch.cat(logprobs), torch.cat(likeliest))


def _batched(texts: Iterable[ScoredText], size: int) -> Iterator[list[ScoredText]]:
    rest = iter(texts)
    while some := list(itertools.islice(rest, size)):
        yield some


def _check(text: ScoredText, number: int, context_length: int) -> None:
    where = f"text {number}"
    if text.num_given < 1:
        raise InputError("nothing is given before what is scored", where=where, expected="at least one token")
    if len(text.ids) <= text.num_given:
        raise InputError("nothing to score", where=where, expected=f"more than the {text.num_given} given tokens")
    if len(text.ids) > context_length + 1:
        raise InputError(f"{len(text.ids):,} tokens", where=where, expected=f"at most {context_length + 1:,}")


def _is_worth_sharing(in_order: Sequence[ScoredText]) -> bool:
    shared = sum(length_in_common(one.ids, other.ids) for one, other in itertools.pairwise(in_order))
    left = 1 - shared / sum(len(text.ids) for text in in_order)
    return left <= WORTH_SHARING and shared >= MIN_SHARED_TOKENS * (len(in_order) - 1)


@torch.inference_mode()
def _score_batch(model: Backbone, texts: Sequence[ScoredText]) -> list[TokenScores]:
    """Of texts side by side, in one pass."""
    assert isinstance(model, Decoder)
    batch = Batch.from_rows([text.ids for text in texts]).to(model.device)
    scored = torch.zeros(batch.input_ids.shape, dtype=torch.bool)
    for row, text in enumerate(texts):
        scored[row, text.num_given - 1 : len(text.ids) - 1] = True
    scored = scored.to(model.device)
    hidden = model.hidden_states(model.embed(batch), batch.with_fields(wanted=scored))
    found = token_scores(model, hidden[scored], batch.target_ids[scored])
    counts = [len(text.ids) - text.num_given for text in texts]
    parts = zip(torch.split(found.logprobs, counts), torch.split(found.is_likeliest, counts), strict=True)
    return [TokenScores(*part) for part in parts]


def _score_in_slots(decoder: Decoder, texts: Sequence[ScoredText]) -> list[TokenScores]:
    return _Scorer(decoder, min(NUM_SLOTS, len(texts))).score(texts)


@dataclass
class _Slot:
    """A text that a slot holds, but for its last token, with the scores of its tokens from one on."""

    ids: Sequence[int]
    first_scored: int
    scores: TokenScores


class _Scorer:
    """Scores texts in slots of a cache, each of which goes from a text to its neighbour."""

    def __init__(self, decoder: Decoder, num_slots: int) -> None:
        self._decoder, self._num_slots = decoder, num_slots
        self._cache: Cache = decoder.empty_cache(num_slots)
        self._slots: list[_Slot | None] = [None] * num_slots

    @torch.inference_mode()
    def score(self, texts: Sequence[ScoredText]) -> list[TokenScores]:
        """The scores of texts that are in the order of their ids."""
        size = -(-len(texts) // self._num_slots)
        blocks = [range(first, min(first + size, len(texts))) for first in range(0, len(texts), size)]
        found: dict[int, TokenScores] = {}
        self._read_what_all_share([texts[block[0]] for block in blocks])
        for turn in range(size):
            members = [(slot, block[turn]) for slot, block in enumerate(blocks) if turn < len(block)]
            for some in self._within_memory(members, texts):
                found |= self._score_together(some, texts)
        return [found[index] for index in range(len(texts))]

    def _read_what_all_share(self, texts: Sequence[ScoredText]) -> None:
        """Let every slot begin with it."""
        shared = min(length_in_common(texts[0].ids, texts[-1].ids), *(text.num_given for text in texts)) - 1
        if len(texts) < 2 or shared < 1 or not self._decoder.can_crop:
            return
        ids = torch.tensor([list(texts[0].ids[:shared])], device=self._decoder.device)
        self._decoder.extend(ids, [shared], self._cache, [0])
        for slot in range(1, len(texts)):
            self._cache.fork(0, slot)

    def _within_memory(
        self, members: Sequence[tuple[int, int]], texts: Sequence[ScoredText]
    ) -> Iterator[list[tuple[int, int]]]:
        some = list[tuple[int, int]]()
        longest = 0
        for slot, index in members:
            longest = max(longest, len(texts[index].ids))
            if some and longest * (len(some) + 1) > MAX_TOKENS_AT_ONCE:
                yield some
                some, longest = [], len(texts[index].ids)
            some.append((slot, index))
        if some:
            yield some

    def _score_together(
        self, members: Sequence[tuple[int, int]], texts: Sequence[ScoredText]
    ) -> dict[int, TokenScores]:
        kept = [self._crop(slot, texts[index]) for slot, index in members]
        new = [list(texts[index].ids[start:-1]) for (_, index), start in zip(members, kept, strict=True)]
        longest = max(map(len, new))
        ids = torch.tensor([[*row, *[row[0]] * (longest - len(row))] for row in new], device=self._decoder.device)
        hidden = self._decoder.extend(ids, list(map(len, new)), self._cache, [slot for slot, _ in members])
        states, targets = list[Tensor](), list[int]()
        for row, ((_, index), start) in enumerate(zip(members, kept, strict=True)):
            text = texts[index]
            first = max(text.num_given - 1, start) - start
            states.append(hidden[row, first : len(new[row])])
            targets += text.ids[start + first + 1 :]
        wanted = torch.tensor(targets, device=hidden.device)
        scores = token_scores(self._decoder, torch.cat(states), wanted)
        counts = [len(one) for one in states]
        parts = zip(torch.split(scores.logprobs, counts), torch.split(scores.is_likeliest, counts), strict=True)
        return {
            index: self._keep(slot, texts[index], start, TokenScores(*part))
            for (slot, index), start, part in zip(members, kept, parts, strict=True)
        }

    def _crop(self, slot: int, text: ScoredText) -> int:
        """Let a slot hold what it can keep for a text; returns how many tokens that is."""
        before, kept = self._slots[slot], self._cache.length(slot)
        if before is not None:
            kept = length_in_common(before.ids, text.ids) - 1 if self._decoder.can_crop else 0
            if text.num_given < before.first_scored:
                kept = min(kept, text.num_given - 1)
        kept = max(0, min(kept, len(text.ids) - 2))
        self._cache.crop(slot, kept)
        return kept

    def _keep(self, slot: int, text: ScoredText, start: int, new: TokenScores) -> TokenScores:
        """The scores of a whole text: those that its neighbour had already, and the new ones."""
        before = self._slots[slot]
        if before is not None and start + 1 > text.num_given:
            known = slice(text.num_given - before.first_scored, start + 1 - before.first_scored)
            old = before.scores
            new = TokenScores(
                torch.cat([old.logprobs[known], new.logprobs]), torch.cat([old.is_likeliest[known], new.is_likeliest])
            )
        self._slots[slot] = _Slot(text.ids, text.num_given, new)
        return new
