"""What a suite gives: a figure for each protocol, with what differs between them in words."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from textwright.evaluation.ratios import ratio
from textwright.evaluation.statistics.intervals import bootstrap_interval
from textwright.evaluation.statistics.resampling import Values, sums_of_units
from textwright.generation.scoring import ScoredText, score
from textwright.models.protocols import Decoder

NUM_RESAMPLES = 2000
Nats = Float[np.ndarray, " tokens"]
Progress = Callable[[str, int], Callable[[int], None]]
"""Is told what is begun and how many texts it has; gives what is to be called with how many of them are done."""


@dataclass(frozen=True)
class Protocol:
    """One way to a figure.

    Attributes:
        name: a short one, for tables and programs.
        differs: what is done, and so what differs from the others of its row.
    """

    name: str
    differs: str


@dataclass(frozen=True)
class SuiteFigure:
    """A figure by one protocol."""

    row: str
    """What is measured: figures of one row stand side by side."""
    protocol: str
    value: float
    low: float | None
    """The lower end of the 95 % interval; None where there is one unit alone."""
    high: float | None
    n: int
    """How many units the interval is made over."""
    unit: str
    """What they are: passages, articles, blocks."""
    differs: str

    def as_json(self) -> dict[str, Any]:
        """By the names that others rely on; row and protocol are where it stands."""
        return {name: value for name, value in asdict(self).items() if name not in ("row", "protocol")}


@dataclass(frozen=True)
class SuiteReport:
    """All figures of a suite."""

    suite: str
    figures: tuple[SuiteFigure, ...]
    left_out: tuple[str, ...]
    """What was not measured, as no file of it was given."""
    notes: tuple[str, ...] = ()
    """What else a reader must know, of the files."""

    def as_json(self) -> dict[str, Any]:
        """By the names that others rely on."""
        rows: dict[str, dict[str, Any]] = {}
        for figure in self.figures:
            rows.setdefault(figure.row, {})[figure.protocol] = figure.as_json()
        return {"suite": self.suite, "rows": rows, "left_out": list(self.left_out), "notes": list(self.notes)}


def mean(sums: np.ndarray) -> np.ndarray:
    """Of units' (sum, count)."""
    return ratio(sums[..., :1], sums[..., 1:])


def perplexity(sums: np.ndarray) -> np.ndarray:
    """Of units' (nats, count)."""
    with np.errstate(over="ignore"):
        found: np.ndarray = np.exp(mean(sums))
    return found


def bits(sums: np.ndarray) -> np.ndarray:
    """For each of what is counted, of units' (nats, count)."""
    found: np.ndarray = mean(sums) / math.log(2)
    return found


def figure_of(
    row: str,
    protocol: Protocol,
    statistics: Float[np.ndarray, "examples 2"],
    values: Values,
    unit: str,
    clusters: Int[np.ndarray, " examples"] | None = None,
) -> SuiteFigure:
    """A figure with its interval.

    Args:
        row: see ``SuiteFigure``.
        protocol: by which the statistics were made.
        statistics: sum and count of each example.
        values: makes the figure of their sums.
        unit: what is drawn as a whole: what an example is, or what it is a part of.
        clusters: the number of the unit that each example is of, where it is none itself.
    """
    units = sums_of_units(statistics, clusters)
    low, high = bootstrap_interval(statistics, values, clusters=clusters, num_resamples=NUM_RESAMPLES)
    low_end, high_end = (None if np.isnan(end[0]) else float(end[0]) for end in (low, high))
    value = float(values(units.sum(axis=0))[0])
    return SuiteFigure(row, protocol.name, value, low_end, high_end, len(units), unit, protocol.differs)


def nats_of(
    model: Decoder, texts: Sequence[ScoredText], progress: Callable[[int], None], *, begun: int = 0
) -> list[Nats]:
    """The loss of each scored token of texts.

    Args:
        model: what predicts.
        texts: see ``score``.
        progress: called with how many texts are done.
        begun: texts that were done before.
    """
    found = list[Nats]()
    for scores in score(model, texts):
        found.append(-scores.logprobs.double().cpu().numpy())
        progress(begun + len(found))
    return found


def unit_sums(
    starts: Int[np.ndarray, " tokens"], nats: Nats, first_bytes: Sequence[int]
) -> Float[np.ndarray, " units"]:
    """The nats of each unit of a text: a token counts in the one that it begins in.

    Args:
        starts: the byte that each token begins at.
        nats: of each token.
        first_bytes: the byte that each unit begins at, the first at 0.
    """
    places = np.searchsorted(np.asarray(first_bytes), starts, side="right") - 1
    found: np.ndarray = np.bincount(places, nats, len(first_bytes))
    return found
