"""pass@k: whether one of k programs that a model wrote for a problem passes its tests."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of

SIZES = (1, 10, 100)


@final
class PassAtK(Metric):
    """The chance that at least one of k programs passes, estimated without bias from as many as were tried.

    The detail ``passed`` is a list of true and false, one for each program that was tried.
    """

    figures = (
        Figure("pass@1", 0, 1, True),
        Figure("pass@10", 0, 1, True, "a problem has fewer than 10 programs"),
        Figure("pass@100", 0, 1, True, "a problem has fewer than 100 programs"),
    )
    source = "Chen et al. 2021, eq. 1"
    needs_references = False
    needs = ("passed",)

    @property
    def signature(self) -> str:
        return "estimator:unbiased"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = np.zeros((len(examples), 2, len(SIZES)))  # problems with as few programs, and chances
        for number, (row, example) in enumerate(zip(rows, examples, strict=True), start=1):
            passed = _checked(example.details["passed"], number)
            for place, k in enumerate(SIZES):
                is_known = k <= len(passed)
                row[:, place] = (not is_known, pass_at_k(len(passed), sum(passed), k) if is_known else 0)
        return np.concatenate([np.ones((len(examples), 1)), rows.reshape(len(examples), -1)], axis=1)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        count, unknown, chances = np.split(sums, [1, 1 + len(SIZES)], axis=-1)
        return np.where(unknown > 0, np.nan, np.minimum(1.0, chances / count))


def pass_at_k(num_tried: int, num_passed: int, k: int) -> float:
    """The chance that k of the programs, drawn without putting any back, hold one that passed."""
    if num_tried - num_passed < k:
        return 1.0
    others = np.arange(num_tried - num_passed + 1, num_tried + 1)
    return float(1 - np.prod(1 - k / others))


def _checked(passed: Any, number: int) -> Sequence[bool]:
    if not isinstance(passed, list | tuple) or not passed or not all(isinstance(one, bool) for one in passed):
        raise InputError(f"'passed' is {passed!r}", where=place_of(number), expected="true or false for each program")
    return passed
