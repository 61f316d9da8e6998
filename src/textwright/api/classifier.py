"""A linear classifier on a model's vectors: fitted, applied, kept in a folder and read again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textwright.api.given import given_texts
from textwright.api.model import Model
from textwright.api.task_evaluation import fingerprint_of
from textwright.core.errors import InputError
from textwright.core.kinds import checks_kinds
from textwright.evaluation.embed import POOLING, embed_texts
from textwright.evaluation.fitted_folder import Fitted, check_is_of_model, read_fitted, write_fitted
from textwright.evaluation.linear_classifier import FittedClassifier, LinearClassifier, fit_classifier

NAME = "classifier"
_ARRAYS = ("weight", "bias", "mean", "scale")


@dataclass(frozen=True)
class Classified:
    """What kind a text is."""

    label: str
    """The likeliest."""
    probabilities: dict[str, float]
    """Of every label, the likeliest first."""


class Classifier:
    """Says what kind a text is, by a model's vector of it.

    Attributes:
        model: makes the vectors.
        fitted: what is made of them.
    """

    def __init__(self, model: Model, fitted: FittedClassifier) -> None:
        self.model, self.fitted = model, fitted

    @property
    def labels(self) -> tuple[str, ...]:
        """All that it may say."""
        return self.fitted.classifier.labels

    @checks_kinds
    def classify(
        self, texts: Iterable[str], *, progress: Callable[[int], None] = lambda _done: None
    ) -> list[Classified]:
        """The label of each text.

        Args:
            texts: none of them empty.
            progress: called with the number of texts done so far.
        """
        return self.classify_vectors(self.model.embed(texts, progress=progress).numpy())

    def classify_vectors(self, vectors: np.ndarray) -> list[Classified]:
        """The label of each text, by the model's vectors of them: ``texts x width``."""
        found = []
        for row in self.fitted.classifier.probabilities(vectors):
            probabilities = {self.labels[place]: float(row[place]) for place in np.argsort(-row, kind="stable")}
            found.append(Classified(next(iter(probabilities)), probabilities))
        return found

    @checks_kinds
    def save(self, folder: Path | str) -> None:
        """Write it into a new folder: weights as safetensors, labels and settings as JSON. The model is not in it.

        Raises:
            InputError: something is there already.
        """
        write_fitted(Path(folder), NAME, self.as_fitted())

    def as_fitted(self, **values: Any) -> Fitted:
        """What is written.

        Args:
            **values: what else is known of it.
        """
        classifier = self.fitted.classifier
        known = {
            "labels": list(classifier.labels),
            "regularisation": self.fitted.regularisation,
            "pooling": POOLING,
            "model_sha256": fingerprint_of(self.model),
        }
        return Fitted(known | values, {name: getattr(classifier, name) for name in _ARRAYS})


@checks_kinds
def train_classifier(model: Model, texts: Iterable[str], labels: Iterable[str], *, seed: int = 0) -> Classifier:
    """Fit a linear classifier on a model's vectors of texts; its regularisation is chosen by cross-validation.

    Args:
        model: makes the vectors, and is left as it is.
        texts: none of them empty.
        labels: of each.
        seed: of the folds.

    Raises:
        InputError: another number of labels than of texts, or fewer than two different ones.
    """
    given, names = list(given_texts(texts)), list(given_texts(labels, "labels"))
    if len(given) != len(names):
        raise InputError(f"{len(names):,} labels of {len(given):,} texts", expected="one for each")
    vectors = embed_texts(model.network, model.tokenizer, given).vectors.numpy()
    return Classifier(model, fit_classifier(vectors, given, names, seed=seed))


@checks_kinds
def load_classifier(folder: Path | str, model: Model) -> Classifier:
    """A classifier that was saved.

    Args:
        folder: where it is.
        model: whose vectors it was fitted on.

    Raises:
        InputError: it is not there or not whole, or it was fitted on another model's vectors.
    """
    return as_classifier(read_classifier(Path(folder)), model, Path(folder))


def read_classifier(folder: Path) -> Fitted:
    """What a classifier's folder holds."""
    return read_fitted(folder, NAME, "a classifier")


def as_classifier(read: Fitted, model: Model, folder: Path) -> Classifier:
    """What was read, with the model that it was fitted on."""
    check_is_of_model(read, fingerprint_of(model), POOLING, folder)
    labels = tuple(read.values["labels"])
    classifier = LinearClassifier(labels, *(read.arrays[name] for name in _ARRAYS))
    return Classifier(model, FittedClassifier(classifier, read.values["regularisation"]))
