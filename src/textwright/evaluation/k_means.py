"""Clusters of vectors: k-means, from several beginnings.

::

    vectors ──standardised──> directions of length 1 ──k-means──> the nearest centre of each
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.words import counted
from textwright.evaluation.words import has_characters, words_of

NUM_STARTS = 10
FEWEST_CLUSTERS, MOST_CLUSTERS = 2, 20
"""Among so many, ``auto`` chooses."""
MOST_SILHOUETTE = 2000
"""So many texts, drawn by the seed, are asked how well they lie."""


@dataclass(frozen=True)
class KMeans:
    """What says to which cluster a vector belongs."""

    mean: Float[np.ndarray, " width"]
    """Taken off vectors."""
    scale: Float[np.ndarray, " width"]
    """What they are divided by then, before they are brought to length 1."""
    centres: Float[np.ndarray, "clusters width"]

    def place(self, vectors: Float[np.ndarray, "texts width"]) -> Float[np.ndarray, "texts width"]:
        """Vectors as they are compared."""
        return _normalised((vectors.astype(np.float64) - self.mean) / self.scale)

    def distances(self, vectors: Float[np.ndarray, "texts width"]) -> Float[np.ndarray, "texts clusters"]:
        """How far each vector is from each centre; its cluster is the nearest."""
        placed, centres = self.place(vectors), self.centres.astype(np.float64)
        squares = (placed**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * placed @ centres.T
        found: np.ndarray = np.sqrt(np.maximum(squares, 0))
        return found

    def nearest(self, vectors: Float[np.ndarray, "texts width"]) -> Int[np.ndarray, " texts"]:
        """The cluster of each vector."""
        found: np.ndarray = self.distances(vectors).argmin(axis=1)
        return found


@dataclass(frozen=True)
class Clustered:
    """Clusters, and how they came about."""

    k_means: KMeans
    silhouettes: dict[int, float]
    """How well texts lie in their clusters (-1 to 1), for every number of clusters that was tried."""


def fit_k_means(
    vectors: Float[np.ndarray, "texts width"],
    num_clusters: int | None,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _done: None,
) -> Clustered:
    """Find clusters.

    Args:
        vectors: of the texts.
        num_clusters: how many; None takes the number of the largest silhouette, of ``FEWEST_CLUSTERS`` to
            ``MOST_CLUSTERS``.
        seed: of the beginnings.
        progress: called with the number of numbers that have been tried.

    Raises:
        InputError: more clusters than different texts.
    """
    wide = vectors.astype(np.float64)
    mean, scale = wide.mean(axis=0), wide.std(axis=0)
    scale[scale == 0] = 1.0
    placed = _normalised((wide - mean) / scale)
    num_different = len(np.unique(placed.round(6), axis=0))
    fewest = FEWEST_CLUSTERS if num_clusters is None else num_clusters
    if num_clusters is not None and num_clusters < 1:
        raise InputError(counted(num_clusters, "cluster"), expected="at least 1")
    if fewest > num_different:
        raise InputError(
            f"{fewest:,} clusters", expected=f"at most {num_different:,}, as many as there are different texts"
        )
    numbers = (
        [num_clusters] if num_clusters is not None else [*range(fewest, min(MOST_CLUSTERS, num_different - 1) + 1)]
    )
    silhouettes, best = dict[int, float](), None
    for done, number in enumerate(numbers or [fewest], start=1):
        centres, labels = _k_means(placed, number, seed)
        silhouettes[number] = _silhouette(placed, labels, seed)
        if best is None or silhouettes[number] > silhouettes[len(best)]:
            best = centres
        progress(done)
    assert best is not None, "at least one number is tried"
    arrays = (one.astype(np.float32) for one in (mean, scale, best))
    return Clustered(KMeans(*arrays), silhouettes)


def typical_words(
    texts: Sequence[str], clusters: Int[np.ndarray, " texts"], num_clusters: int, num_words: int
) -> list[list[str]]:
    """The words of each cluster whose TF-IDF is most above that of the other texts; of scripts without spaces, pairs of
    characters.

    Args:
        texts: all.
        clusters: of each.
        num_clusters: how many there are.
        num_words: at most so many of each cluster.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=_terms, sublinear_tf=True, dtype=np.float64)
    try:
        table = vectorizer.fit_transform(texts)
    except ValueError:  # no word in any of them
        return [[] for _ in range(num_clusters)]
    names = vectorizer.get_feature_names_out()
    total = np.asarray(table.sum(axis=0)).ravel()
    found = list[list[str]]()
    for cluster in range(num_clusters):
        inside = clusters == cluster
        of_cluster = np.asarray(table[inside].sum(axis=0)).ravel()
        num_inside, num_outside = max(1, int(inside.sum())), max(1, int((~inside).sum()))
        above = of_cluster / num_inside - (total - of_cluster) / num_outside
        best = np.argsort(-above, kind="stable")[:num_words]
        found.append([str(names[place]) for place in best if above[place] > 0])
    return found


def _terms(text: str) -> list[str]:
    words = words_of(text)
    return ["".join(pair) for pair in pairwise(words)] if has_characters(text) else words


def _k_means(placed: np.ndarray, num_clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres, and the cluster of each; the largest is the first."""
    from sklearn.cluster import KMeans as ScikitKMeans

    found = ScikitKMeans(
        n_clusters=num_clusters, n_init=NUM_STARTS, random_state=hash_u64("k-means", seed) % 2**32
    ).fit(placed)
    order = np.argsort(-np.bincount(found.labels_, minlength=num_clusters), kind="stable")
    return np.asarray(found.cluster_centers_)[order], np.argsort(order)[found.labels_]


def _silhouette(placed: np.ndarray, labels: np.ndarray, seed: int) -> float:
    """0 where it has no meaning: of one cluster, or of as many as there are texts."""
    from sklearn.metrics import silhouette_score

    chosen = np.random.default_rng(hash_u64("silhouette", seed)).permutation(len(placed))[:MOST_SILHOUETTE]
    num_labels = len(np.unique(labels[chosen]))
    if not 1 < num_labels < len(chosen):
        return 0.0
    return float(silhouette_score(placed[chosen], labels[chosen]))


def _normalised(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: np.ndarray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return found
