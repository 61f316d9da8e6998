"""METEOR's figure from what an alignment counts, of one text or of the sums of many.

Source: Denkowski and Lavie 2014, "Meteor Universal"; parameters of METEOR 1.5 for English.
"""

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.meteor.alignment import CHUNKS, NUM_KINDS

ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75
"""Weight of recall, form and weight of the penalty, weight of content words against function words."""
KIND_WEIGHTS = (1.0, 0.6, 0.8)
"""Of exact matches, of stems' and of synonyms'."""


def score(sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets"]:
    """METEOR, from 0 to 1; 0 where there is nothing to match.

    ::

        P, R    = weight of matched words / weight of all words, of hypotheses and of references
        F       = 1 / ((1 - alpha) / P + alpha / R)
        METEOR  = F (1 - gamma (chunks / matches) ^ beta)
    """
    matches = sums[..., 5::3]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = _weight_of_matches(matches, sums[..., 6::3]) / _weight(sums[..., 0], sums[..., 1])
        recall = _weight_of_matches(matches, sums[..., 7::3]) / _weight(sums[..., 2], sums[..., 3])
        f_mean = 1.0 / ((1.0 - ALPHA) / precision + ALPHA / recall)
        found = f_mean * (1.0 - GAMMA * (sums[..., CHUNKS] / matches.sum(axis=-1)) ** BETA)
    return np.asarray(np.maximum(np.nan_to_num(found, nan=0.0), 0.0))


def _weight(words: Float[np.ndarray, "*sets"], functions: Float[np.ndarray, "*sets"]) -> Float[np.ndarray, "*sets"]:
    return np.asarray(DELTA * (words - functions) + (1.0 - DELTA) * functions)


def _weight_of_matches(
    matches: Float[np.ndarray, "*sets kinds"], functions: Float[np.ndarray, "*sets kinds"]
) -> Float[np.ndarray, "*sets"]:
    # One after the other, as METEOR adds: which of two references is better may hang on the last bit.
    total = np.zeros(matches.shape[:-1])
    for kind in range(NUM_KINDS):
        total = total + (matches - functions)[..., kind] * KIND_WEIGHTS[kind] * DELTA
    for kind in range(NUM_KINDS):
        total = total + functions[..., kind] * KIND_WEIGHTS[kind] * (1.0 - DELTA)
    return np.asarray(total)
