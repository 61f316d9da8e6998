"""What is done to logits before a token is drawn. Pure functions on rows x vocabulary; removed tokens become -inf.

The order is: repetition penalty, temperature, top-k, top-p, min-p.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textwright.generation.request import SamplingConfig

Logits = Float[Tensor, "rows vocabulary"]
REMOVED = float("-inf")


def apply_filters(logits: Logits, seen: Bool[Tensor, "rows vocabulary"] | None, config: SamplingConfig) -> Logits:
    """All filters that the config asks for, in their order.

    Args:
        logits: the model's, float32.
        seen: which tokens occurred in each row; needed for the repetition penalty.
        config: its temperature must not be 0.
    """
    if config.repetition_penalty != 1.0:
        assert seen is not None
        logits = penalise_repetition(logits, seen, config.repetition_penalty)
    if config.temperature != 1.0:
        logits = logits / config.temperature
    if config.top_k is not None:
        logits = keep_top_k(logits, config.top_k)
    if config.top_p is not None:
        logits = keep_top_p(logits, config.top_p)
    if config.min_p is not None:
        logits = keep_min_p(logits, config.min_p)
    return logits


def penalise_repetition(logits: Logits, seen: Bool[Tensor, "rows vocabulary"], penalty: float) -> Logits:
    """Positive logits of tokens that occurred are divided by the penalty, negative ones multiplied.

    Source: Keskar et al. 2019 (arXiv:1909.05858), section 4.1, in the form for logits of either sign.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def keep_top_k(logits: Logits, k: int) -> Logits:
    """The k likeliest tokens, and those as likely as the k-th.

    Source: Fan et al. 2018 (arXiv:1805.04833), section 5.4.
    """
    least = logits.topk(min(k, logits.shape[1])).values[:, -1:]
    return logits.masked_fill(logits < least, REMOVED)


def keep_top_p(logits: Logits, p: float) -> Logits:
    """The fewest of the likeliest tokens whose probabilities sum to p or more; always at least one.

    Source: Holtzman et al. 2020 (arXiv:1904.09751), section 3.1.
    """
    ordered, order = logits.sort(dim=1, descending=True, stable=True)
    before = ordered.softmax(dim=1).cumsum(dim=1) - ordered.softmax(dim=1)
    is_out = before >= p
    is_out[:, 0] = False
    return logits.masked_fill(is_out.scatter(1, order, is_out), REMOVED)


def keep_min_p(logits: Logits, p: float) -> Logits:
    """Tokens at least p times as likely as the likeliest.

    Source: Nguyen et al. 2024 (arXiv:2407.01082), section 3.
    """
    if p == 0:
        return logits
    least = logits.max(dim=1, keepdim=True).values + torch.log(torch.tensor(p))
    return logits.masked_fill(logits < least, REMOVED)
