"""What chance may choose from: the temperature, and how far down the likeliest tokens."""

import math
from collections.abc import Callable
from typing import Any

import torch

from textwright.generation.processors.base import Logits, LogitsProcessor, mask_out
from textwright.generation.request import SamplingConfig
from textwright.tokens.tokenizer import Tokenizer

MIN_TEMPERATURE = 1e-6  # float32 logits are no finer than this; below it they would only overflow


def divide_by_temperature(logits: Logits, temperature: float) -> Logits:
    """Sharpen (below 1) or flatten (above 1) the distribution.

    Source: Ackley, Hinton and Sejnowski 1985, equation 5.
    """
    return logits / max(temperature, MIN_TEMPERATURE)


def keep_top_k(logits: Logits, k: int) -> Logits:
    """Rule out all but the k likeliest tokens, and those exactly as likely as the last of them.

    Source: Fan et al. 2018 (arXiv:1805.04833), section 5.4.
    """
    least = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    return mask_out(logits, logits < least)


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
    return mask_out(logits, outside.scatter(-1, order, outside))


def keep_min_p(logits: Logits, min_p: float) -> Logits:
    """Rule out tokens less than ``min_p`` times as likely as the likeliest.

    Source: Nguyen et al. 2024 (arXiv:2407.01082), section 3.
    """
    return mask_out(logits, logits < logits.amax(dim=-1, keepdim=True) + math.log(min_p))


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
    return mask_out(logits, outside.scatter(-1, order, outside))


def make_temperature(sampling: SamplingConfig, _: Tokenizer) -> LogitsProcessor | None:
    temperature = sampling.temperature
    if not sampling.draws or temperature == 1:
        return None
    return lambda logits, _: divide_by_temperature(logits, temperature)


def _cut(
    name: str, keep: Callable[[Logits, Any], Logits]
) -> Callable[[SamplingConfig, Tokenizer], LogitsProcessor | None]:
    """The maker of a processor that cuts what chance may choose from, by the value of a setting."""

    def make(sampling: SamplingConfig, _: Tokenizer) -> LogitsProcessor | None:
        value = getattr(sampling, name)
        if value is None or not sampling.draws:
            return None
        return lambda logits, _: keep(logits, value)

    return make


make_top_k = _cut("top_k", keep_top_k)
make_top_p = _cut("top_p", keep_top_p)
make_min_p = _cut("min_p", keep_min_p)
make_typical_p = _cut("typical_p", keep_typical)
