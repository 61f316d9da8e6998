"""What is done to logits before a token is drawn: pure functions, one row as the next, in one stated order.

    logits -> repetition penalty -> temperature -> top-k -> top-p -> min-p -> draw

Tokens that are ruled out get minus infinity. The likeliest token is never ruled out.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textwright.generation.request import SamplingConfig

Logits = Float[Tensor, "rows vocabulary"]

LEAST_TEMPERATURE = 1e-6  # float32 logits are no finer than this; below it they would only overflow


def apply_filters(logits: Logits, sampling: SamplingConfig, seen_ids: Int[Tensor, "rows seen"] | None) -> Logits:
    """All filters that ``sampling`` asks for, in their order.

    Args:
        logits: float32.
        seen_ids: as for ``penalise_repetition``, for which alone they are needed.
    """
    if sampling.repetition_penalty != 1:
        assert seen_ids is not None, "a repetition penalty needs the tokens seen"
        logits = penalise_repetition(logits, seen_ids, sampling.repetition_penalty)
    if sampling.temperature == 0:
        return logits  # nothing below changes which token is the likeliest
    logits = divide_by_temperature(logits, sampling.temperature)
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p is not None:
        logits = keep_top_p(logits, sampling.top_p)
    if sampling.min_p is not None:
        logits = keep_min_p(logits, sampling.min_p)
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
