"""Clusters of texts by a model's vectors: found, asked where a text belongs, kept in a folder and read again."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from textwright.api.given import given_texts
from textwright.api.model import Model
from textwright.api.task_evaluation import fingerprint_of
from textwright.core.kinds import checks_kinds
from textwright.evaluation.embed import POOLING
from textwright.evaluation.fitted_folder import Fitted, check_is_of_model, read_fitted, write_fitted
from textwright.evaluation.k_means import Clustered, KMeans, fit_k_means

NAME = "clusters"
_ARRAYS = ("mean", "scale", "centres")


class Clusters:
    """Says to which of its clusters a text belongs, by a model's vector of it.

    Attributes:
        model: makes the vectors.
        found: what is made of them.
    """

    def __init__(self, model: Model, found: Clustered) -> None:
        self.model, self.found = model, found

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

    @checks_kinds
    def save(self, folder: Path | str) -> None:
        """Write them into a new folder: centres as safetensors, settings as JSON. The model is not in it.

        Raises:
            InputError: something is there already.
        """
        write_fitted(Path(folder), NAME, self.as_fitted())

    def as_fitted(self, **values: Any) -> Fitted:
        """What is written.

        Args:
            **values: what else is known of them.
        """
        known = {
            "silhouettes": {str(number): value for number, value in self.found.silhouettes.items()},
            "pooling": POOLING,
            "model_sha256": fingerprint_of(self.model),
        }
        return Fitted(known | values, {name: getattr(self.found.k_means, name) for name in _ARRAYS})


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
    return as_clusters(read_clusters(Path(folder)), model, Path(folder))


def read_clusters(folder: Path) -> Fitted:
    """What the folder of clusters holds."""
    return read_fitted(folder, NAME, "clusters")


def as_clusters(read: Fitted, model: Model, folder: Path) -> Clusters:
    """What was read, with the model by whose vectors it was found."""
    check_is_of_model(read, fingerprint_of(model), POOLING, folder)
    silhouettes = {int(number): float(value) for number, value in read.values["silhouettes"].items()}
    return Clusters(model, Clustered(KMeans(*(read.arrays[name] for name in _ARRAYS)), silhouettes))
