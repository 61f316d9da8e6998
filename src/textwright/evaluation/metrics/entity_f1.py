"""F1 of entities that were found in a text."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric, place_of
from textwright.evaluation.ratios import f_measure, ratio

FORMS = "[type, text] or [type, start, end]"
_KINDS = ([str, str], [str, int, int], [int, int, str])


@final
class EntityF1(Metric):
    """Entities that are right in type and place, or in type and text, over all examples alike.

    The details ``entities`` (found) and ``gold_entities`` are lists of entities, each ``[type, text]``, ``[type, start,
    end]`` or ``[start, end, type]``, in one form within an example. One is right that is equal in all its parts; the
    same one twice is two.
    """

    figures = (
        Figure("entity_f1", 0, 1, True, "there is no entity, neither found nor wanted"),
        Figure("entity_precision", 0, 1, True, "no entity is found"),
        Figure("entity_recall", 0, 1, True, "no entity is wanted"),
    )
    source = "Tjong Kim Sang and De Meulder 2003 (CoNLL): exact matches, micro-averaged"
    needs_references = False
    needs = ("entities", "gold_entities")

    @property
    def signature(self) -> str:
        return "match:exact|average:micro"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = []
        for number, example in enumerate(examples, start=1):
            found, wanted = (_entities(example.details[name], name, number) for name in self.needs)
            if len({tuple(map(type, entity)) for entity in (*found, *wanted)}) > 1:
                raise InputError("entities of two forms", where=place_of(number), expected=f"all {FORMS}")
            rows.append(((found & wanted).total(), found.total(), wanted.total()))
        return np.array(rows, dtype=np.float64)

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        right, found, wanted = np.moveaxis(sums, -1, 0)
        return np.stack([f_measure(right, found, wanted), ratio(right, found), ratio(right, wanted)], axis=-1)


def _entities(value: Any, name: str, number: int) -> Counter[tuple[str | int, ...]]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{name!r} is {type(value).__name__}", where=place_of(number), expected=f"a list of {FORMS}")
    for entity in value:
        if not isinstance(entity, list | tuple) or list(map(type, entity)) not in _KINDS:
            raise InputError(f"{entity!r} in {name!r}", where=place_of(number), expected=FORMS)
    return Counter(tuple(entity) for entity in value)
