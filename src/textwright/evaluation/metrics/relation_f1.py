"""F1 of relations between two entities, by the official rules of SemEval 2010, task 8."""

import re
from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of
from textwright.evaluation.ratios import f_measure, ratio

RELATIONS = (
    "Cause-Effect",
    "Component-Whole",
    "Content-Container",
    "Entity-Destination",
    "Entity-Origin",
    "Instrument-Agency",
    "Member-Collection",
    "Message-Topic",
    "Product-Producer",
)
OTHER = "Other"
_LABEL = re.compile(rf"({'|'.join(RELATIONS)})\((e1,e2|e2,e1)\)|({OTHER})")


@final
class RelationF1(Metric):
    """The mean F1 of the relations that the references have, ``Other`` left out.

    A label is ``Cause-Effect(e1,e2)`` or the like, or ``Other``; with the wrong direction it is wrong. A prediction
    that is no label says nothing, as of an example that was skipped.
    """

    figures = (
        Figure("relation_f1", 0, 1, True, "no reference is a relation"),
        Figure("relation_f1_micro", 0, 1, True, "there is no relation, neither said nor wanted"),
    )
    source = "Hendrickx et al. 2010, SemEval-2 task 8: (9+1)-way evaluation with directionality, the official score"

    @property
    def signature(self) -> str:
        return "classes:9+1|direction:counts|average:macro without Other"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = np.zeros((len(examples), len(RELATIONS), 3))  # of each relation: right, said, wanted
        for number, (row, example) in enumerate(zip(rows, examples, strict=True), start=1):
            wanted, said = example.references[0].strip(), example.prediction.strip()
            if not _LABEL.fullmatch(wanted):
                expected = f"one of {', '.join(RELATIONS)} with (e1,e2) or (e2,e1), or {OTHER}"
                raise InputError(f"{wanted!r} is no relation", where=place_of(number), expected=expected)
            for column, label in ((1, said), (2, wanted)):
                found = _LABEL.fullmatch(label)
                if found and found[1]:
                    relation = RELATIONS.index(found[1])
                    row[relation, column] = 1
                    row[relation, 0] = said == wanted
        return rows.reshape(len(examples), -1)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        counts = sums.reshape(*sums.shape[:-1], len(RELATIONS), 3)
        by_relation = f_measure(counts[..., 0], counts[..., 1], counts[..., 2])
        is_wanted = counts[..., 2] > 0
        macro = ratio(np.where(is_wanted, by_relation, 0).sum(axis=-1), is_wanted.sum(axis=-1))
        micro = f_measure(*np.moveaxis(counts.sum(axis=-2), -1, 0))
        return np.stack([macro, micro], axis=-1)
