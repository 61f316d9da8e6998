"""What is made of a model's vectors of texts: it says something of other texts, and is kept in a folder of its own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from textwright.api.model import Model
from textwright.api.task_evaluation import fingerprint_of
from textwright.core.kinds import checks_kinds
from textwright.evaluation.embed import POOLING
from textwright.evaluation.fitted_folder import Fitted, check_is_of_model, read_fitted, write_fitted
from textwright.tasks.labelled_texts import LabelledText


class MadeOfVectors(ABC):
    """A classifier, or clusters.

    Attributes:
        name: of its two files in a folder.
        what: it is, in words.
        model: makes the vectors.
    """

    name: ClassVar[str]
    what: ClassVar[str]

    def __init__(self, model: Model) -> None:
        self.model = model

    @checks_kinds
    def save(self, folder: Path | str) -> None:
        """Write it into a new folder: numbers as safetensors, all else as JSON. The model is not in it.

        Raises:
            InputError: something is there already.
        """
        write_fitted(Path(folder), self.name, self.as_fitted())

    def as_fitted(self, **values: Any) -> Fitted:
        """What is written.

        Args:
            **values: what else is known of it.
        """
        made = self._contents()
        known = {"pooling": POOLING, "model_sha256": fingerprint_of(self.model)}
        return Fitted(made.values | known | values, made.arrays)

    @classmethod
    def read(cls, folder: Path, find_model: Callable[[Fitted], Model]) -> Self:
        """What was saved.

        Args:
            folder: where it is.
            find_model: gives the model that it was made with.

        Raises:
            InputError: it is not there or not whole, or was made with another model.
        """
        read = read_fitted(folder, cls.name, cls.what)
        model = find_model(read)
        check_is_of_model(read, fingerprint_of(model), POOLING, folder)
        return cls._of(model, read)

    def rows(self, texts: Iterable[LabelledText], vectors: np.ndarray) -> list[dict[str, Any]]:
        """What it says of texts, as a file of predictions has it.

        Args:
            texts: with labels or without.
            vectors: the model's, of each: ``texts x width``.
        """
        found = []
        for one, (prediction, details) in zip(texts, self._said(vectors), strict=True):
            row: dict[str, Any] = {"id": one.id, "prompt": one.text, "source": one.text, "prediction": prediction}
            if one.label is not None:
                row["references"] = [one.label]
            found.append(row | details)
        return found

    @abstractmethod
    def _contents(self) -> Fitted:
        """What it is made of."""

    @classmethod
    @abstractmethod
    def _of(cls, model: Model, read: Fitted) -> Self:
        """What was read, with its model."""

    @abstractmethod
    def _said(self, vectors: np.ndarray) -> Sequence[tuple[str, dict[str, Any]]]:
        """Of each vector the prediction, and what metrics ask for besides."""
