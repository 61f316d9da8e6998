"""F1 of labels, over all labels alike (macro) and over all examples alike (micro), and the confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of
from textwright.evaluation.ratios import f_measure, ratio


@dataclass(frozen=True)
class Confusion:
    """What was said for what.

    Attributes:
        labels: those of the references, in order.
        counts: examples of each label (rows) for which each was said; the last column is for all that is no label.
    """

    labels: tuple[str, ...]
    counts: Int[np.ndarray, "labels labels+1"]


@final
class F1(Metric):
    """The harmonic mean of precision and recall, of each label.

    A label is the first reference, or another one that the prediction is, to the letter but for white space around it.
    What is no label of any reference counts as wrong, but is no label of its own, whatever a model may write. The mean
    is over the labels that references or predictions have.

    Args:
        labels: all that there are; by default those of the references that are measured together.
    """

    figures = (Figure("f1_macro", 0, 1, True), Figure("f1_micro", 0, 1, True))
    source = "Van Rijsbergen 1979; macro: the mean of the labels' F1 (Opitz and Burst 2019, eq. 1)"

    def __init__(self, labels: Sequence[str] | None = None) -> None:
        self._labels = None if labels is None else tuple(labels)

    @property
    def signature(self) -> str:
        return f"labels:{'of the references' if self._labels is None else len(self._labels)}|case:mixed"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        labels, gold, said = self._read(examples)
        rows = np.zeros((len(examples), len(labels), 3))  # of each label: right, said, wanted
        every = np.arange(len(examples))
        is_label = said < len(labels)
        rows[every, gold, 2] = 1
        rows[every[is_label], said[is_label], 1] = 1
        rows[every[said == gold], gold[said == gold], 0] = 1
        return rows.reshape(len(examples), -1)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        counts = sums.reshape(*sums.shape[:-1], -1, 3)
        by_label = f_measure(counts[..., 0], counts[..., 1], counts[..., 2])
        is_there = ~np.isnan(by_label)
        macro = ratio(np.where(is_there, by_label, 0).sum(axis=-1), is_there.sum(axis=-1))
        micro = f_measure(*np.moveaxis(counts.sum(axis=-2), -1, 0))
        return np.stack([macro, micro], axis=-1)

    def confusion(self, examples: Sequence[Judged]) -> Confusion:
        """The confusion matrix, for reports."""
        labels, gold, said = self._read(examples)
        counts = np.zeros((len(labels), len(labels) + 1), dtype=np.int64)
        np.add.at(counts, (gold, said), 1)
        return Confusion(labels, counts)

    def _read(self, examples: Sequence[Judged]) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
        """The labels, and the place of each example's and of what was said for it: past the end where it is none."""
        self.check(examples)
        pairs = []
        for example in examples:
            said, references = example.prediction.strip(), [text.strip() for text in example.references]
            pairs.append((said if said in references else references[0], said))
        labels = self._labels if self._labels is not None else tuple(sorted({gold for gold, _ in pairs}))
        places = {label: place for place, label in enumerate(labels)}
        for number, (gold, _) in enumerate(pairs, start=1):
            if gold not in places:
                raise InputError(f"no label: {gold!r}", where=place_of(number), expected=f"one of {', '.join(labels)}")
        gold_places = np.array([places[gold] for gold, _ in pairs])
        return labels, gold_places, np.array([places.get(said, len(labels)) for _, said in pairs])
