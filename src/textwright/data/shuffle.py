"""A shuffle that is never made: where it puts one place is a function of place and key."""

import numpy as np
import numpy.typing as npt

from textwright.core.seeds import hash_u64

FEISTEL_ROUNDS = 4


def shuffled(places: npt.NDArray[np.int64], count: int, key: int) -> npt.NDArray[np.int64]:
    """Where a shuffle of 0 .. count - 1 puts ``places``, without making the shuffle: a keyed permutation.

    A Feistel network over the next even power of two, walked until it falls inside the range.

    Source: Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 5 and cycle walking.
    """
    half = max(1, (max(count - 1, 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << half) - 1)
    shift = np.uint64(half)
    found = places.astype(np.uint64)
    outside = np.ones(len(found), dtype=bool)
    while outside.any():
        left, right = found[outside] >> shift, found[outside] & mask
        for round_number in range(FEISTEL_ROUNDS):
            left, right = right, left ^ (_mix(right + np.uint64(hash_u64(key, round_number) >> 1)) & mask)
        found[outside] = (left << shift) | right
        outside = found >= count
    return found.astype(np.int64)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele et al. 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
