"""Losses far outside the last ones, which a bad batch or a flipped bit makes."""

import statistics
from collections.abc import Sequence

NUM_RECENT = 100
MIN_RECENT = 20
"""With fewer losses to compare with, none is called far."""


def deviations_above(loss: float, recent: Sequence[float]) -> float:
    """By how many standard deviations a loss is above the mean of the recent ones; 0 while they are too few."""
    if len(recent) < MIN_RECENT:
        return 0.0
    spread = statistics.pstdev(recent)
    above = loss - statistics.fmean(recent)
    return above / spread if spread > 0 else 0.0
