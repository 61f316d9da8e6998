"""What is done to logits before a token is drawn: pure functions, one row as the next, in one stated order.

    logits -> constraint -> logit bias -> banned words -> no repeated n-gram     what may be said at all
           -> repetition penalty -> presence and frequency penalty               what is less welcome
           -> temperature -> top-k -> top-p -> min-p -> typical-p                what chance may choose from
           -> draw

Tokens that are ruled out get minus infinity. A row always keeps one: banned words and n-grams never rule out the end
token, so a text that may not go on ends (and where a constraint rules that out, ends unmet); top-k, top-p and
min-p keep the likeliest of what is left, typical-p the most typical. A filter that is not asked for is not there.
"""

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textwright.core.errors import InputError
from textwright.generation.request import SamplingConfig
from textwright.generation.row import Written
from textwright.tokens.tokenizer import Tokenizer

Logits = Float[Tensor, "rows vocabulary"]

LAST_RESORT = -1e4  # the worst of logits: a search prefers every text that meets its constraint
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_PENALTIES = np.where(_BITS == 1, np.float32(0), np.float32(-np.inf))  # of the eight tokens of each byte
LEAST_TEMPERATURE = 1e-6  # float32 logits are no finer than this; below it they would only overflow


@runtime_checkable
class Filter(Protocol):
    """One thing done to logits."""

    def __call__(self, logits: Logits, rows: Sequence[Written], /) -> Logits:
        """New logits; ``rows`` are what has been written so far."""


def make_filters(sampling: SamplingConfig, tokenizer: Tokenizer) -> list[Filter]:
    """The filters that ``sampling`` asks for, in their order.

    Raises:
        InputError: a bias for an id that is no token.
    """
    found = (make(sampling, tokenizer) for make in FILTERS)
    return [one for one in found if one is not None]


def apply_filters(logits: Logits, filters: Sequence[Filter], rows: Sequence[Written]) -> Logits:
    """The logits (float32) after all filters."""
    for one in filters:
        logits = one(logits, rows)
    return logits


def allow(logits: Logits, rows: Sequence[Written]) -> Logits:
    """Rule out the tokens that a row's constraint does not allow. An open row is always left with one."""
    every = np.full(-(-logits.shape[1] // 8), 255, dtype=np.uint8)
    packed = np.stack([every if row.constraint is None else row.constraint.bits[: len(every)] for row in rows])
    # In NumPy, eight tokens at a time: waking torch's threads, or choosing token by token, costs more than the work.
    penalties = np.take(_PENALTIES, packed, axis=0).reshape(len(rows), -1)[:, : logits.shape[1]]
    return torch.from_numpy(logits.numpy(force=True) + penalties).to(logits.device)


def add_bias(logits: Logits, ids: Int[Tensor, " biased"], bias: Float[Tensor, " biased"]) -> Logits:
    """Make single tokens likelier (above 0) or less likely (below 0).

    Args:
        ids: different ones.
        bias: added to their logits, in nats.
    """
    return logits.index_add(-1, ids, bias.expand(len(logits), -1))


class BannedWords:
    """Rules out tokens with which a banned word would be complete::

        banned "cat"     text "a c"    rules out "at", "ate", ... which begin with the rest of the word
                         any text      rules out "cat", "scat", ... which hold it

    It compares bytes: UTF-8 holds a word's bytes only where the text holds the word, however they are cut into tokens.
    The end token has no bytes, and is never ruled out.

    Args:
        words: texts that are not empty.
        token_bytes: the bytes of each id.
    """

    def __init__(self, words: Sequence[str], token_bytes: Sequence[bytes]) -> None:
        banned = [word.encode() for word in dict.fromkeys(words)]
        self._token_bytes, self._longest_beginning = token_bytes, max(map(len, banned)) - 1
        self._always = [index for index, raw in enumerate(token_bytes) if any(word in raw for word in banned)]
        in_order = sorted((raw, index) for index, raw in enumerate(token_bytes))
        # beginning of a word -> tokens that begin with the rest of it
        self._after: dict[bytes, list[int]] = {}
        for word in banned:
            for cut in range(1, len(word)):
                self._after.setdefault(word[:cut], []).extend(_that_begin_with(word[cut:], in_order))

    def __call__(self, logits: Logits, rows: Sequence[Written], /) -> Logits:
        """The logits without those tokens."""
        logits = logits.clone()
        logits[:, self._always] = -math.inf
        for index, row in enumerate(rows):
            logits[index, self._completing(row)] = -math.inf
        return logits

    def _completing(self, row: Written) -> list[int]:
        """The tokens that would complete a word whose beginning the text ends with."""
        end = b""
        for token_id in row.backwards():
            if len(end) >= self._longest_beginning:
                break
            end = self._token_bytes[token_id] + end
        found: list[int] = []
        for length in range(1, min(len(end), self._longest_beginning) + 1):
            found.extend(self._after.get(end[-length:], ()))
        return found


def _that_begin_with(start: bytes, in_order: Sequence[tuple[bytes, int]]) -> list[int]:
    """The ids of the tokens that begin with ``start``, from tokens in the order of their bytes."""
    first = bisect.bisect_left(in_order, (start, 0))
    last = bisect.bisect_left(in_order, True, lo=first, key=lambda token: not token[0].startswith(start))
    return [index for _, index in in_order[first:last]]


def rule_out_repeats(logits: Logits, rows: Sequence[Written], n: int, end_id: int) -> Logits:
    """Rule out tokens with which the last n tokens of a text would be there a second time.

    Args:
        rows: prompts and texts.
        n: at least 1.
        end_id: never ruled out, so that a text of which every continuation is a repeat can end.

    Source: Paulus et al. 2017 (arXiv:1705.04304), section 2.5, for n = 3.
    """
    logits = logits.clone()
    for index, row in enumerate(rows):
        logits[index, [token_id for token_id in row.repeats(n) if token_id != end_id]] = -math.inf
    return logits


def keep_a_way_out(logits: Logits, end_id: int) -> Logits:
    """Where nothing is left, leave the end token."""
    left = logits.clone()
    left[logits.isneginf().all(dim=-1), end_id] = LAST_RESORT
    return left


def penalise_repetition(logits: Logits, seen_ids: Int[Tensor, "rows seen"], penalty: float) -> Logits:
    """Make tokens that have been seen less likely (penalty above 1) or likelier (below 1).

    Args:
        seen_ids: the ids in each row's prompt and text. An id may come often: it counts once.
        penalty: positive logits are divided by it, negative ones multiplied.

    Source: Keskar et al. 2019 (arXiv:1909.05858), section 4.1; the case of negative logits as in transformers.
    """
    of_seen = logits.gather(-1, seen_ids)
    return logits.scatter(-1, seen_ids, torch.where(of_seen < 0, of_seen * penalty, of_seen / penalty))


def penalise_counts(
    logits: Logits, counts: Float[Tensor, "rows vocabulary"], presence: float, frequency: float
) -> Logits:
    """Make tokens less likely (penalties above 0) the more often they have been written.

    Args:
        counts: how often each token has been written; see ``count_new_ids``.
        presence: taken once from the logits of what has been written at all.
        frequency: taken for each time.

    Source: OpenAI's API reference, ``presence_penalty`` and ``frequency_penalty``.
    """
    return logits - counts * frequency - (counts > 0) * presence


def divide_by_temperature(logits: Logits, temperature: float) -> Logits:
    """Sharpen (below 1) or flatten (above 1) the distribution.

    Source: Ackley, Hinton and Sejnowski 1985, equation 5.
    """
    return logits / max(temperature, LEAST_TEMPERATURE)


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Rule out all but the k likeliest tokens, and those exactly as likely as the last of them.

    Source: Fan et al. 2018 (arXiv:1805.04833), section 5.4.
    """
    least = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    return _without(logits, logits < least)


def keep_top_p(logits: Logits, p: float) -> Logits:
    """Rule out all but the fewest tokens whose probabilities sum to at least p.

    Source: Holtzman et al. 2020 (arXiv:1904.09751), section 3.1.
    """
    if p >= 1:
        return logits  # rounding in the sum must not cost the rarest tokens
    ranked, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = ranked.softmax(dim=-1)
    of_better_tokens = probabilities.cumsum(dim=-1) - probabilities
    outside = of_better_tokens >= p
    return _without(logits, outside.scatter(-1, order, outside))


def keep_min_p(logits: Logits, min_p: float) -> Logits:
    """Rule out tokens less than ``min_p`` times as likely as the likeliest.

    Source: Nguyen et al. 2024 (arXiv:2407.01082), section 3.
    """
    return _without(logits, logits < logits.amax(dim=-1, keepdim=True) + math.log(min_p))


def keep_typical(logits: Logits, p: float) -> Logits:
    """Rule out all but the fewest tokens whose probabilities sum to at least p, the most typical first.

    A token is the more typical, the nearer its surprise, -log p(token), is to the entropy, which is the surprise to
    be expected. So the likeliest token may go: where much is open, it says too little.

    Source: Meister et al. 2022 (arXiv:2202.00666), equation 11.
    """
    if p >= 1:
        return logits  # rounding in the sum must not cost the least typical tokens
    surprise = -logits.log_softmax(dim=-1)  # infinite for what is ruled out
    probabilities = (-surprise).exp()
    entropy = torch.special.entr(probabilities).sum(dim=-1, keepdim=True)
    _, order = (surprise - entropy).abs().sort(dim=-1, stable=True)
    ranked = probabilities.gather(-1, order)
    outside = ranked.cumsum(dim=-1) - ranked >= p
    return _without(logits, outside.scatter(-1, order, outside))


def _without(logits: Logits, ruled_out: Bool[Tensor, "rows vocabulary"]) -> Logits:
    return logits.masked_fill(ruled_out, -math.inf)


def seen_ids(rows: Sequence[Written], device: torch.device) -> Int[Tensor, "rows seen"]:
    """The different ids of each row's prompt and text; a row of fewer repeats its first."""
    seen = [row.seen_ids() for row in rows]
    longest = max(map(len, seen))
    return torch.from_numpy(np.stack([np.append(ids, np.repeat(ids[:1], longest - len(ids))) for ids in seen])).to(
        device
    )


def count_new_ids(rows: Sequence[Written], logits: Logits) -> Float[Tensor, "rows vocabulary"]:
    """How often each row's text holds each token, the prompt left aside; where the logits are."""
    counted = [row.counts_of_new() for row in rows]
    places = np.repeat(np.arange(len(rows)), [len(ids) for ids, _ in counted])
    ids, times = (np.concatenate(parts) for parts in zip(*counted, strict=True))
    where = tuple(torch.from_numpy(part).to(logits.device) for part in (places, ids))
    return torch.zeros_like(logits).index_put_(where, torch.from_numpy(times).to(logits), accumulate=True)


def _constraint(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    return allow if sampling.constrained_by is not None else None


def _logit_bias(sampling: SamplingConfig, tokenizer: Tokenizer) -> Filter | None:
    if not sampling.logit_bias:
        return None
    for token_id in sampling.logit_bias:
        if not 0 <= token_id < tokenizer.vocab_size:
            raise InputError(
                f"logit_bias for token {token_id}",
                expected=f"ids of tokens, 0 to {tokenizer.vocab_size - 1:,}",
                fix="`textwright tokenizer inspect` shows the ids of a text",
            )
    ids, bias = torch.tensor([*sampling.logit_bias]), torch.tensor([*sampling.logit_bias.values()])
    return lambda logits, _: add_bias(logits, ids.to(logits.device), bias.to(logits))


def _banned_words(sampling: SamplingConfig, tokenizer: Tokenizer) -> Filter | None:
    return BannedWords(sampling.bad_words, tokenizer.token_bytes) if sampling.bad_words else None


def _no_repeat_ngram(sampling: SamplingConfig, tokenizer: Tokenizer) -> Filter | None:
    n, end_id = sampling.no_repeat_ngram_size, tokenizer.end_id
    if n is None:
        return None
    return lambda logits, rows: rule_out_repeats(logits, rows, n, end_id)


def _way_out(sampling: SamplingConfig, tokenizer: Tokenizer) -> Filter | None:
    if sampling.constrained_by is None or not (sampling.bad_words or sampling.no_repeat_ngram_size):
        return None  # alone, each of them leaves something
    end_id = tokenizer.end_id
    return lambda logits, _: keep_a_way_out(logits, end_id)


def _repetition_penalty(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    penalty = sampling.repetition_penalty
    if penalty == 1:
        return None
    return lambda logits, rows: penalise_repetition(logits, seen_ids(rows, logits.device), penalty)


def _presence_and_frequency_penalty(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    presence, frequency = sampling.presence_penalty, sampling.frequency_penalty
    if presence == 0 and frequency == 0:
        return None
    return lambda logits, rows: penalise_counts(logits, count_new_ids(rows, logits), presence, frequency)


def _temperature(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    temperature = sampling.temperature
    if not sampling.draws or temperature == 1:
        return None
    return lambda logits, _: divide_by_temperature(logits, temperature)


def _cut(name: str, keep: Callable[[Logits, Any], Logits]) -> Callable[[SamplingConfig, Tokenizer], Filter | None]:
    """The maker of a filter that cuts what chance may choose from, by the value of a setting."""

    def make(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
        value = getattr(sampling, name)
        if value is None or not sampling.draws:
            return None
        return lambda logits, _: keep(logits, value)

    return make


# In the order in which they work. A new filter is a function above and a row here.
FILTERS: tuple[Callable[[SamplingConfig, Tokenizer], Filter | None], ...] = (
    _constraint,
    _logit_bias,
    _banned_words,
    _no_repeat_ngram,
    _way_out,
    _repetition_penalty,
    _presence_and_frequency_penalty,
    _temperature,
    _cut("top_k", keep_top_k),
    _cut("top_p", keep_top_p),
    _cut("min_p", keep_min_p),
    _cut("typical_p", keep_typical),
)
