"""From logits to a token: the likeliest, or one drawn with a random number that is handed in."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.core.errors import InputError


def likeliest(logits: Float[Tensor, "rows vocabulary"]) -> Int[Tensor, " rows"]:
    """The token with the greatest logit in each row.

    Raises:
        InputError: the greatest is not a number.
    """
    best, ids = logits.max(dim=-1)
    _check_finite(best)
    return ids


def draw(probabilities: Float[Tensor, "rows vocabulary"], uniforms: Sequence[float]) -> Int[Tensor, " rows"]:
    """A token of each row, by inverting the cumulative sum of the probabilities::

        0 ───────── a ───────── b ─ c ─── d ─ 1        a uniform number falls on one token's stretch
                        ^ b

    Args:
        probabilities: up to a factor; at least one is above zero.
        uniforms: a number in [0, 1) for each row.

    Raises:
        InputError: a probability is not a number.
    """
    # In float64: 50,000 additions in float32 would cost the rarest tokens their stretch.
    sums = probabilities.double().cumsum(dim=-1)
    totals = sums[:, -1:]
    _check_finite(totals)
    targets = totals * torch.tensor(uniforms, dtype=torch.float64, device=sums.device)[:, None]
    # right: the first sum above the target, so that a token without a stretch is never hit.
    return torch.searchsorted(sums, targets, right=True)[:, 0]


def _check_finite(numbers: Tensor) -> None:
    if not bool(numbers.isfinite().all()):
        raise InputError(
            "the model's logits are not finite",
            fix="its weights are damaged, or too large for this precision: try float32",
        )
