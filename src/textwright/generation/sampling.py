"""Drawing a token. The randomness is a hash, so a draw depends on its own request alone, not on its neighbours."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.core.seeds import hash_u64


def uniform(seed: int, sample: int, position: int) -> float:
    """The number in [0, 1) that decides a draw.

    Args:
        seed: the request's.
        sample: which of the request's completions.
        position: which new token.
    """
    return (hash_u64("draw", seed, sample, position) >> 11) * 2.0**-53


def draw(logits: Float[Tensor, "rows vocabulary"], uniforms: Sequence[float]) -> Int[Tensor, " rows"]:
    """One token a row, by inversion of its cumulative probabilities.

    Args:
        logits: after the filters; at least one a row is finite.
        uniforms: a number in [0, 1) for each row.
    """
    cumulative = logits.double().softmax(dim=1).cumsum(dim=1)
    at = torch.tensor(uniforms, dtype=torch.float64, device=logits.device)[:, None] * cumulative[:, -1:]
    chosen = torch.searchsorted(cumulative, at, right=True).squeeze(1)
    # Rounding may carry the last place past the last token that is left.
    last = (logits > float("-inf")).long().mul(torch.arange(logits.shape[1], device=logits.device)).amax(dim=1)
    return torch.minimum(chosen, last)
