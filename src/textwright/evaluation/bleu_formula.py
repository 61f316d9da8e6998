"""BLEU from counts: of whole files, of single texts, of resamples."""

import numpy as np
from jaxtyping import Float

MAX_ORDER = 4


def bleu_of(
    lengths: Float[np.ndarray, "*sets 2"], correct: Float[np.ndarray, "*sets 4"], total: Float[np.ndarray, "*sets 4"]
) -> Float[np.ndarray, "*sets 4"]:
    """BLEU-1 to BLEU-4, each from 0 to 100.

    An order whose n-grams are all wrong counts as half a match, the next such as a quarter, and so on (smoothing
    ``exp``). Where something is right, but no prediction has n words, BLEU-n is NaN: there is nothing it could be of.

    Args:
        lengths: of the predictions and of their references.
        correct: n-grams of the predictions that are in a reference.
        total: n-grams of the predictions.

    Source: Papineni et al. 2002, and mteval-v13a.
    """
    halvings = np.cumsum((correct == 0) & (total > 0), axis=-1)
    hits = np.where(correct > 0, correct, 0.5**halvings)
    precision = np.divide(hits, total, out=np.full(total.shape, np.nan), where=total > 0)
    log_means = np.cumsum(np.log(precision), axis=-1) / np.arange(1, MAX_ORDER + 1)
    short = np.divide(lengths[..., 1], lengths[..., 0], out=np.ones(lengths.shape[:-1]), where=lengths[..., 0] > 0)
    brevity = np.exp(np.minimum(0.0, 1 - short))
    scores = np.minimum(100.0, 100 * brevity[..., None] * np.exp(log_means))
    return np.where(correct[..., :1] > 0, scores, 0.0)
