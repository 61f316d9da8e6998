"""Clusters are found where there are some, whatever the directions are scaled by, and described by their words."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from textwright.core.errors import InputError
from textwright.evaluation.k_means import MOST_CLUSTERS, fit_k_means, typical_words


def blobs(num_clusters: int, *, number: int = 90, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Vectors about some places, with one direction in which all of them vary far more than they differ."""
    rng = np.random.default_rng(num_clusters)
    of = np.arange(number) % num_clusters
    vectors = 3 * np.eye(num_clusters, width)[of] + 0.2 * rng.normal(size=(number, width))
    vectors[:, -1] += 100 * rng.normal(size=number)
    return (vectors + 50).astype(np.float32), of


@pytest.mark.parametrize("num_clusters", [2, 3, 5])
def test_clusters_are_found_in_spite_of_a_direction_that_says_nothing(num_clusters: int) -> None:
    vectors, of = blobs(num_clusters)
    found = fit_k_means(vectors, num_clusters, seed=1)
    clusters = found.k_means.nearest(vectors)
    assert adjusted_rand_score(of, clusters) == 1
    sizes = np.bincount(clusters)
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    assert fit_k_means(vectors, num_clusters, seed=1).k_means.nearest(vectors).tolist() == clusters.tolist()
    placed = found.k_means.place(vectors)
    np.testing.assert_allclose(np.linalg.norm(placed, axis=1), 1)
    assert found.silhouettes[num_clusters] == pytest.approx(silhouette_score(placed, clusters), abs=1e-3)
    distances = found.k_means.distances(vectors)
    slowly = np.linalg.norm(placed[:, None] - found.k_means.centres[None], axis=2)
    np.testing.assert_allclose(distances, slowly, atol=1e-5)


def test_auto_takes_the_largest_silhouette_within_its_bounds() -> None:
    vectors, of = blobs(4)
    asked = list[int]()
    found = fit_k_means(vectors, None, progress=asked.append)
    assert [*found.silhouettes] == [*range(2, MOST_CLUSTERS + 1)]
    assert asked == [*range(1, MOST_CLUSTERS)]
    assert len(found.k_means.centres) == max(found.silhouettes, key=lambda number: found.silhouettes[number])
    assert adjusted_rand_score(of, found.k_means.nearest(vectors)) > 0.9


def test_more_clusters_than_different_texts_are_refused() -> None:
    vectors = np.array([[0, 1], [0, 1], [1, 0]], dtype=np.float32)
    assert len(fit_k_means(vectors, 2).k_means.centres) == 2
    assert fit_k_means(vectors, 1).silhouettes == {1: 0.0}
    with pytest.raises(InputError, match="3 clusters; expected at most 2"):
        fit_k_means(vectors, 3)
    with pytest.raises(InputError, match="0 clusters; expected at least 1"):
        fit_k_means(vectors, 0)
    with pytest.raises(InputError, match="2 clusters; expected at most 1"):
        fit_k_means(vectors[:2], None)


def test_typical_words_are_those_of_a_cluster_and_not_of_all() -> None:
    texts = ["the match was won", "the match was lost", "the bank was sold", "the bank was bought"]
    words = typical_words(texts, np.array([0, 0, 1, 1]), 3, 1)
    assert words == [["match"], ["bank"], []]
    chinese = ["比赛赢了", "比赛输了", "银行卖了", "银行买了"]
    assert [some[0] for some in typical_words(chinese, np.array([0, 0, 1, 1]), 2, 1)] == ["比赛", "银行"]
    assert typical_words(["...", "!"], np.array([0, 1]), 2, 3) == [[], []]
