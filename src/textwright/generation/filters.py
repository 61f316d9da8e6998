"""What is done to logits before a token is drawn: pure functions, one row as the next, in one stated order.

    logits -> constraint -> repetition penalty -> temperature -> top-k -> top-p -> min-p -> draw

Tokens that are ruled out get minus infinity. A constraint comes first, so that filters choose among what it allows;
of that they never rule out the likeliest.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textwright.generation.request import SamplingConfig
from textwright.generation.row import Row
from textwright.tokens.tokenizer import Tokenizer

Logits = Float[Tensor, "rows vocabulary"]

LEAST_TEMPERATURE = 1e-6  # float32 logits are no finer than this; below it they would only overflow


@runtime_checkable
class Filter(Protocol):
    """One thing done to logits."""

    def __call__(self, logits: Logits, rows: Sequence[Row], /) -> Logits:
        """New logits; ``rows`` are what has been written so far."""


def make_filters(sampling: SamplingConfig, tokenizer: Tokenizer) -> list[Filter]:
    """The filters that ``sampling`` asks for, in their order."""
    found = (make(sampling, tokenizer) for make in FILTERS)
    return [one for one in found if one is not None]


def allow(logits: Logits, rows: Sequence[Row]) -> Logits:
    """Rule out the tokens that a row's constraint does not allow. An open row is always left with one."""
    if all(row.constraint is None for row in rows):
        return logits
    every = np.full(-(-logits.shape[1] // 8), 255, dtype=np.uint8)
    packed = np.stack([every if row.constraint is None else row.constraint.bits[: len(every)] for row in rows])
    is_allowed = np.unpackbits(packed, axis=1, count=logits.shape[1], bitorder="little").view(np.bool_)
    # In NumPy: waking torch's threads costs more than the work.
    values = np.where(is_allowed, logits.numpy(force=True), np.float32(-np.inf))
    return torch.from_numpy(values).to(logits.device)


def apply_filters(logits: Logits, filters: Sequence[Filter], rows: Sequence[Row]) -> Logits:
    """The logits (float32) after all filters."""
    for one in filters:
        logits = one(logits, rows)
    return logits


def penalise_repetition(logits: Logits, seen_ids: Int[Tensor, "rows seen"], penalty: float) -> Logits:
    """Make tokens that have been seen less likely (penalty above 1) or likelier (below 1).

    Args:
        seen_ids: the ids in each row's prompt and text. An id may come often: it counts once.
        penalty: positive logits are divided by it, negative ones multiplied.

    Source: Keskar et al. 2019 (arXiv:1909.05858), section 4.1; the case of negative logits as in transformers.
    """
    of_seen = logits.gather(-1, seen_ids)
    return logits.scatter(-1, seen_ids, torch.where(of_seen < 0, of_seen * penalty, of_seen / penalty))


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


def _without(logits: Logits, ruled_out: Bool[Tensor, "rows vocabulary"]) -> Logits:
    return logits.masked_fill(ruled_out, -math.inf)


def seen_ids(rows: Sequence[Row], device: torch.device) -> Int[Tensor, "rows seen"]:
    """The ids of each row's prompt and text; a shorter row repeats its first."""
    longest = max(len(row.ids) for row in rows)
    return torch.tensor([[*row.ids, *[row.ids[0]] * (longest - len(row.ids))] for row in rows], device=device)


def _repetition_penalty(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    penalty = sampling.repetition_penalty
    if penalty == 1:
        return None
    return lambda logits, rows: penalise_repetition(logits, seen_ids(rows, logits.device), penalty)


def _temperature(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    temperature = sampling.temperature
    if temperature in (0, 1):
        return None
    return lambda logits, _: divide_by_temperature(logits, temperature)


def _top_k(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    k = sampling.top_k
    if k is None or sampling.temperature == 0:
        return None
    return lambda logits, _: keep_top_k(logits, k)


def _top_p(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    p = sampling.top_p
    if p is None or sampling.temperature == 0:
        return None
    return lambda logits, _: keep_top_p(logits, p)


def _min_p(sampling: SamplingConfig, _: Tokenizer) -> Filter | None:
    min_p = sampling.min_p
    if min_p is None or sampling.temperature == 0:
        return None
    return lambda logits, _: keep_min_p(logits, min_p)


# In the order in which they work. A new filter is a function above and a row here.
FILTERS: tuple[Callable[[SamplingConfig, Tokenizer], Filter | None], ...] = (
    _repetition_penalty,
    _temperature,
    _top_k,
    _top_p,
    _min_p,
)
