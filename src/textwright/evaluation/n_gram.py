"""A model of bytes that counts as it reads: what five bytes in a row are worth, as a baseline for bits per byte.

::

    p_n(byte | context) = max(count - D, 0) / total  +  D x kinds / total x p_(n-1)(byte | context without its first)
    p_0(byte) = 1/256

``kinds`` is how many different bytes have followed the context. Below the longest context a count is not how often a
byte followed, but after how many different longer contexts: it grows only where what is longer was new.

Source: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; interpolated as in Chen and Goodman
1999.
"""

import math

import numpy as np
from jaxtyping import Float

LENGTH = 5
N_GRAM = f"{LENGTH}-gram of bytes"
DISCOUNT = 0.75


class AdaptiveNGram:
    """Begins knowing nothing, as a compressor does, and learns each byte after it has been predicted.

    Args:
        length: bytes of the longest sequence that is counted, the predicted one among them.
    """

    def __init__(self, length: int = LENGTH) -> None:
        # By the context's length, for each context: the counts of the bytes after it, and under None their sum.
        self._tables: list[dict[int, dict[int | None, int]]] = [{} for _ in range(length)]
        self._masks = [(1 << 8 * size) - 1 for size in range(length)]
        self._context, self._num_read = 0, 0

    def bits(self, text: bytes) -> Float[np.ndarray, " bytes"]:
        """Read on: the bits of each byte, predicted from what was read before it."""
        found = np.empty(len(text))
        for place, byte in enumerate(text):
            found[place] = -math.log2(self._predict(byte))
            self._learn(byte)
        return found

    def probabilities(self) -> Float[np.ndarray, "256"]:
        """Of each byte, to be the next one."""
        return np.array([self._predict(byte) for byte in range(256)])

    def _predict(self, byte: int) -> float:
        p = 1 / 256
        for table, mask in zip(self._tables, self._masks, strict=True):
            counts = table.get(self._context & mask)
            if counts is None:
                break  # what is longer was not seen either
            count = counts.get(byte, 0)
            kept = count - DISCOUNT if count else 0.0
            p = (kept + DISCOUNT * (len(counts) - 1) * p) / counts[None]
        return p

    def _learn(self, byte: int) -> None:
        for size in range(min(self._num_read, len(self._tables) - 1), -1, -1):
            counts = self._tables[size].setdefault(self._context & self._masks[size], {None: 0})
            is_new = byte not in counts
            counts[byte] = counts.get(byte, 0) + 1
            counts[None] += 1
            if not is_new:
                break
        self._context = (self._context << 8 | byte) & self._masks[-1]
        self._num_read += 1
