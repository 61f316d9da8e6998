"""What a comparison comes to, in words, and how many examples would tell."""

import math
from typing import Literal

from scipy import special

Verdict = Literal["better", "worse", "higher", "lower", "not_distinguishable"]
WORDS: dict[Verdict, str] = {
    "better": "B is better",
    "worse": "B is worse",
    "higher": "B is higher",
    "lower": "B is lower",
    "not_distinguishable": "not distinguishable at this size",
}
NOT_JUDGED = "not judged"
SIGNIFICANCE, POWER = 0.05, 0.8


def verdict_of(difference: float, p: float, higher_is_better: bool | None) -> Verdict | None:
    """What may be said of B beside A: better or worse, higher or lower where neither is better by itself; None where
    nothing was tested.

    Args:
        difference: B's figure minus A's.
        p: corrected for all that is compared.
        higher_is_better: of the figure.
    """
    if math.isnan(p) or math.isnan(difference):
        return None
    if p > SIGNIFICANCE:
        return "not_distinguishable"
    if higher_is_better is None:
        return "higher" if difference > 0 else "lower"
    return "better" if (difference > 0) == higher_is_better else "worse"


def examples_needed(
    difference: float,
    standard_error: float,
    num_examples: int,
    *,
    num_units: int | None = None,
    num_tests: int = 1,
    power: float = POWER,
) -> int | None:
    """How many examples such as these would tell a difference that is truly as large as the one found; None where no
    number would, or nothing is known.

    Args:
        difference: found.
        standard_error: of it.
        num_examples: that it was found on.
        num_units: documents that they are of, where each is not for itself.
        num_tests: compared at once, by which the level of each is divided.
        power: how often it should be told.
    """
    if difference == 0 or not math.isfinite(difference) or not math.isfinite(standard_error):
        return None
    quantiles = special.ndtri(1 - SIGNIFICANCE / (2 * num_tests)) + special.ndtri(power)
    needed = num_examples * (float(quantiles) * standard_error / abs(difference)) ** 2
    # Even if all units agree, sides can be changed in so many ways only.
    least = math.log2(2 * num_tests / SIGNIFICANCE) * num_examples / (num_units or num_examples)
    return math.ceil(max(needed, least)) if math.isfinite(needed) else None


def describe(verdict: Verdict | None, needed: int | None, unit: str = "examples") -> str:
    """The verdict as a person says it, with the size that would tell where this one did not."""
    if verdict is None:
        return NOT_JUDGED
    if verdict != "not_distinguishable" or needed is None:
        return WORDS[verdict]
    return f"{WORDS[verdict]}; about {_rounded(needed):,} {unit} would tell"


def _rounded(number: int) -> int:
    """To two digits: it is an estimate."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return math.ceil(number / unit) * unit
