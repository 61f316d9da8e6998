"""Parts of wholes, over whole arrays, where a whole may be nothing."""

import numpy as np

Numbers = np.ndarray | np.generic


def ratio(part: Numbers, whole: Numbers) -> np.ndarray:
    """``part / whole``; NaN where the whole is nothing."""
    parts, wholes = np.asarray(part, dtype=np.float64), np.asarray(whole)
    shape = np.broadcast_shapes(parts.shape, wholes.shape)
    found: np.ndarray = np.divide(parts, wholes, out=np.full(shape, np.nan), where=wholes != 0)
    return found


def f_measure(correct: Numbers, proposed: Numbers, wanted: Numbers) -> np.ndarray:
    """The harmonic mean of precision and recall, from counts; NaN where nothing is proposed nor wanted."""
    return ratio(np.multiply(2, correct), np.add(proposed, wanted))
