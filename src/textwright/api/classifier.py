"""A linear classifier on a model's vectors: fitted, applied, kept in a folder and read again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from textwright.api.given import given_texts
from textwright.api.made_of_vectors import MadeOfVectors
from textwright.api.model import Model
from textwright.core.errors import InputError
from textwright.core.kinds import checks_kinds
from textwright.core.words import counted
from textwright.evaluation.embed import embed_texts
from textwright.evaluation.fitted_folder import Fitted
from textwright.evaluation.linear_classifier import FittedClassifier, LinearClassifier, fit_classifier

_ARRAYS = ("weight", "bias", "mean", "scale")


@dataclass(frozen=True)
class Classified:
    """What kind a text is."""

    label: str
    """The likeliest."""
    probabilities: dict[str, float]
    """Of every label, the likeliest first."""


class Classifier(MadeOfVectors):
    """Says what kind a text is, by a model's vector of it.

    Attributes:
        model: makes the vectors.
        fitted: what is made of them.
    """

    name = "classifier"
    what = "a classifier"

    def __init__(self, model: Model, fitted: FittedClassifier) -> None:
        super().__init__(model)
        self.fitted = fitted

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

    def _contents(self) -> Fitted:
        classifier = self.fitted.classifier
        values = {"labels": list(classifier.labels), "regularisation": self.fitted.regularisation}
        return Fitted(values, {name: getattr(classifier, name) for name in _ARRAYS})

    @classmethod
    def _of(cls, model: Model, read: Fitted) -> Self:
        labels = tuple(read.values["labels"])
        classifier = LinearClassifier(labels, *(read.arrays[name] for name in _ARRAYS))
        return cls(model, FittedClassifier(classifier, read.values["regularisation"]))

    def _said(self, vectors: np.ndarray) -> list[tuple[str, dict[str, Any]]]:
        return [(one.label, {"probabilities": one.probabilities}) for one in self.classify_vectors(vectors)]


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
        what = f"{counted(len(names), 'label')} of {counted(len(given), 'text')}"
        raise InputError(what, expected="one for each")
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
    return Classifier.read(Path(folder), lambda _fitted: model)
