"""Clusters of texts by a model's vectors: found, asked where a text belongs, kept in a folder and read again."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np

from textwright.api.given import given_texts
from textwright.api.made_of_vectors import MadeOfVectors
from textwright.api.model import Model
from textwright.core.kinds import checks_kinds
from textwright.evaluation.fitted_folder import Fitted
from textwright.evaluation.k_means import Clustered, KMeans, fit_k_means

_ARRAYS = ("mean", "scale", "centres")


class Clusters(MadeOfVectors):
    """Says to which of its clusters a text belongs, by a model's vector of it.

    Attributes:
        model: makes the vectors.
        found: what is made of them.
    """

    name = "clusters"
    what = "clusters"

    def __init__(self, model: Model, found: Clustered) -> None:
        super().__init__(model)
        self.found = found

    def __len__(self) -> int:
        return len(self.found.k_means.centres)

    @checks_kinds
    def assign(self, texts: Iterable[str], *, progress: Callable[[int], None] = lambda _done: None) -> list[int]:
        """The number of each text's cluster, from 0; cluster 0 was the largest.

        Args:
            texts: none of them empty.
            progress: called with the number of texts done so far.
        """
        found: list[int] = self.found.k_means.nearest(self.model.embed(texts, progress=progress).numpy()).tolist()
        return found

    def _contents(self) -> Fitted:
        silhouettes = {str(number): value for number, value in self.found.silhouettes.items()}
        return Fitted({"silhouettes": silhouettes}, {name: getattr(self.found.k_means, name) for name in _ARRAYS})

    @classmethod
    def _of(cls, model: Model, read: Fitted) -> Self:
        silhouettes = {int(number): float(value) for number, value in read.values["silhouettes"].items()}
        return cls(model, Clustered(KMeans(*(read.arrays[name] for name in _ARRAYS)), silhouettes))

    def _said(self, vectors: np.ndarray) -> list[tuple[str, dict[str, Any]]]:
        return [(str(number), {"cluster": number}) for number in self.found.k_means.nearest(vectors).tolist()]


@checks_kinds
def cluster_texts(model: Model, texts: Iterable[str], num_clusters: int | None = None, *, seed: int = 0) -> Clusters:
    """Find clusters of texts by a model's vectors of them: k-means on their directions.

    Args:
        model: makes the vectors, and is left as it is.
        texts: none of them empty.
        num_clusters: how many; None tries 2 to 20 and takes the number whose silhouette is the largest.
        seed: of the beginnings.

    Raises:
        InputError: more clusters than different texts.
    """
    vectors: np.ndarray = model.embed(list(given_texts(texts))).numpy()
    return Clusters(model, fit_k_means(vectors, num_clusters, seed=seed))


@checks_kinds
def load_clusters(folder: Path | str, model: Model) -> Clusters:
    """Clusters that were saved.

    Args:
        folder: where they are.
        model: by whose vectors they were found.

    Raises:
        InputError: they are not there or not whole, or were found by another model's vectors.
    """
    return Clusters.read(Path(folder), lambda _fitted: model)
