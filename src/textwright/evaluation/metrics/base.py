"""What a metric is: statistics of each example, which add up, and figures made of their sum.

::

    predictions, references ──measure──> statistics [examples, k] ──sum over any examples──> [k] ──values──> figures

So a figure of a whole file is never a mean of sentences' figures by accident, and an interval costs no new reading of
the texts: a resample is another sum of the same rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError


def place_of(number: int) -> str:
    """How errors name an example, counted from one."""
    return f"example {number:,}"


@dataclass(frozen=True)
class Judged:
    """A prediction, with what it is judged by."""

    prediction: str
    """What a system said."""
    references: tuple[str, ...] = ()
    """What it should have said, one way or the other."""
    source: str = ""
    """What it was said about: the text that was to be translated, shortened or rewritten."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of it, by the names that metrics ask for."""


@dataclass(frozen=True)
class Figure:
    """One of the figures that a metric gives."""

    name: str
    low: float
    """The least it can be."""
    high: float
    """The most; infinity where there is no bound."""
    higher_is_better: bool | None
    """None: neither is better by itself."""
    undefined: str = ""
    """When it has no meaning and is NaN; empty: never."""


class Metric(ABC):
    """How predictions are judged. Final classes say what they are in class variables.

    Attributes:
        figures: what it gives, the one that stands for all of them first.
        source: paper or program that defines it.
        needs_references: whether every example must have one.
        needs: the details that every example must have.
        file: what it must be given beside its name, by ``with_file``; empty: it works by its name alone.
        is_additive: whether figures are made of sums over examples. If not, rows of ``measure`` stand for all examples
            that it was given and add up to no other set's: each set is measured by itself, and no interval is made, for
            the stated ``reason``.
    """

    figures: ClassVar[tuple[Figure, ...]]
    source: ClassVar[str]
    needs_references: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    file: ClassVar[str] = ""
    is_additive: ClassVar[bool] = True
    reason: ClassVar[str] = ""

    @classmethod
    def with_file(cls, file: Path) -> "Metric":
        """The metric by what a file holds, where it takes one.

        Raises:
            InputError: it takes none, or not this one.
        """
        raise InputError(f"the file {file} for a metric that takes none", fix="write the metric's name alone")

    def check(self, examples: Sequence[Judged]) -> None:
        """See that there are examples, and that each has what it is judged by; ``measure`` begins with it.

        Raises:
            InputError: there is none, or one lacks something, by its place.
        """
        if not examples:
            raise InputError("nothing to judge", expected="one example at least")
        for number, example in enumerate(examples, start=1):
            if self.needs_references and not example.references:
                raise InputError("no reference", where=place_of(number), expected="one at least")
            for name in self.needs:
                if name not in example.details:
                    expected = f"all of {', '.join(self.needs)}"
                    raise InputError(f"no {name!r}", where=place_of(number), expected=expected)

    @property
    @abstractmethod
    def signature(self) -> str:
        """The settings that the figures depend on, and whose program made them, with its version."""

    @abstractmethod
    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        """The statistics of each example, float64.

        Raises:
            InputError: an example that cannot be judged, by its place.
        """

    @abstractmethod
    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        """The figures of sets of examples, from the sums of their statistics; NaN where a figure has no meaning."""
