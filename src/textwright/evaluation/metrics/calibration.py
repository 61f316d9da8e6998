"""Calibration: whether a model is right as often as it is sure."""

import math
from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of
from textwright.evaluation.ratios import ratio

NUM_BINS = 15


@final
class CalibrationError(Metric):
    """Expected calibration error: how far confidence is from accuracy, in bins of like confidence.

    The detail ``probabilities`` is an object from each label that could be said to its probability. Confidence is that
    of the prediction.
    """

    figures = (Figure("calibration_error", 0, 1, False),)
    source = "Guo et al. 2017, eq. 3: bins of equal width"
    needs = ("probabilities",)
    # Drawn again, 200 answers of a classifier had an interval from 0.032 to 0.034 about an error of 0.053.
    is_additive = False
    reason = "chance alone moves bins away from what is right, and a resample's further than the examples' own"

    @property
    def signature(self) -> str:
        return f"bins:{NUM_BINS} of equal width"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = np.zeros((len(examples), NUM_BINS, 3))  # of each bin: examples, confidence, right ones
        for number, (row, example) in enumerate(zip(rows, examples, strict=True), start=1):
            confidence = _confidence(example, number)
            place = max(0, math.ceil(confidence * NUM_BINS) - 1)
            is_right = example.prediction.strip() in map(str.strip, example.references)
            row[place] = (1, confidence, is_right)
        return rows.reshape(len(examples), -1)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        bins = sums.reshape(*sums.shape[:-1], NUM_BINS, 3)
        gaps = np.abs(bins[..., 1] - bins[..., 2]).sum(axis=-1, keepdims=True)
        return ratio(gaps, bins[..., 0].sum(axis=-1, keepdims=True))


def _confidence(example: Judged, number: int) -> float:
    probabilities, said = example.details["probabilities"], example.prediction
    if not isinstance(probabilities, Mapping):
        what = f"'probabilities' is {type(probabilities).__name__}"
        raise InputError(what, where=place_of(number), expected="an object from label to probability")
    found = probabilities.get(said, probabilities.get(said.strip()))
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        what = f"the probability of {said!r} is {found!r}"
        raise InputError(what, where=place_of(number), expected="a number from 0 to 1 for each label")
    return float(found)
