"""Several models on one text, in bits per byte: with intervals, and with what may be said of each beside the others.

::

    documents --> blocks of bytes, the same for every model --> bits [blocks] by model --> intervals, pairs

Models have tokens of their own; what they have in common is bytes. A token counts in the block that it begins in.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.evaluation.n_gram import N_GRAM, AdaptiveNGram
from textwright.evaluation.statistics.intervals import bootstrap_interval
from textwright.evaluation.statistics.paired import compare_paired, holm
from textwright.evaluation.statistics.verdict import Verdict, describe, examples_needed, verdict_of
from textwright.tokens import Tokenizer

BLOCK_BYTES = 1024
ENOUGH_DOCUMENTS = 20
"""With fewer, it is blocks that are drawn: as if what stands side by side in a document were not alike."""


@dataclass(frozen=True)
class Row:
    """What one model needs for a byte."""

    bits_per_byte: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """One model beside another."""

    a: str
    b: str
    difference: float
    """Bits per byte of B less those of A."""
    low: float
    high: float
    p: float
    p_corrected: float
    """For all pairs (Holm)."""
    verdict: Verdict | None
    """Of B beside A."""
    examples_needed: int | None
    """So many documents or blocks would tell such a difference in four of five trials."""

    def as_json(self) -> dict[str, object]:
        """By the names that others rely on."""
        return asdict(self)

    def words(self, unit: str) -> str:
        """The verdict as a person says it."""
        return describe(self.verdict, self.examples_needed, unit)


class TextComparison:
    """Collects what models need for each block of some texts.

    Args:
        texts: documents, of which one at least is not empty.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._raw = [text.encode() for text in texts]
        counts = [-(-len(raw) // BLOCK_BYTES) for raw in self._raw]
        if not sum(counts):
            raise InputError("no text to evaluate", expected="at least one that is not empty")
        self._first = [0, *itertools.accumulate(counts)]
        documents = np.repeat(np.arange(len(counts)), counts)
        self._clusters = documents if np.count_nonzero(counts) >= ENOUGH_DOCUMENTS else None
        sizes = [min(BLOCK_BYTES, len(raw) - begin) for raw in self._raw for begin in range(0, len(raw), BLOCK_BYTES)]
        self._bytes = np.array(sizes, dtype=np.float64)
        self._bits: dict[str, np.ndarray] = {}

    @property
    def unit(self) -> str:
        """What intervals are made over."""
        return "blocks" if self._clusters is None else "documents"

    @property
    def num_units(self) -> int:
        """How many there are."""
        return len(self._bytes) if self._clusters is None else len(np.unique(self._clusters))

    def observer(self, name: str, tokenizer: Tokenizer) -> Callable[[int, Sequence[int], Tensor], None]:
        """What ``score_text`` is to tell of each text, of the model ``name``."""
        self._bits[name] = np.zeros(len(self._bytes))

        def observe(place: int, ids: Sequence[int], logprobs: Tensor) -> None:
            self._add(name, place, token_starts(tokenizer, ids, len(self._raw[place])), -logprobs.double().numpy())

        return observe

    def add_n_gram(self) -> None:
        """Let the n-gram model read the texts, one after the other."""
        model = AdaptiveNGram()
        self._bits[N_GRAM] = np.zeros(len(self._bytes))
        for place, raw in enumerate(self._raw):
            self._add(N_GRAM, place, np.arange(len(raw)), model.bits(raw) * math.log(2))

    def rows(self, *, num_resamples: int = 10_000) -> dict[str, Row]:
        """Bits per byte of each model, with the interval, in the order they came."""
        found = {}
        for name in self._bits:
            low, high = bootstrap_interval(
                self._statistics(name), _per_byte, clusters=self._clusters, num_resamples=num_resamples
            )
            value = float(self._bits[name].sum() / self._bytes.sum())
            found[name] = Row(value, float(low[0]), float(high[0]))
        return found

    def pairs(self, *, num_resamples: int = 10_000) -> list[Pair]:
        """Each model beside each that came before it."""
        names = list(itertools.combinations(self._bits, 2))
        found = [
            compare_paired(
                self._statistics(a),
                self._statistics(b),
                _per_byte,
                clusters=self._clusters,
                num_resamples=num_resamples,
            )
            for a, b in names
        ]
        corrected = holm(np.array([one.p[0] for one in found]))
        rows = list[Pair]()
        for (a, b), one, p in zip(names, found, corrected.tolist(), strict=True):
            difference, error = float(one.difference[0]), float(one.standard_error[0])
            ends = (float(one.low[0]), float(one.high[0]), float(one.p[0]))
            needed = examples_needed(difference, error, self.num_units, num_tests=len(names))
            rows.append(Pair(a, b, difference, *ends, p, verdict_of(difference, p, higher_is_better=False), needed))
        return rows

    def _add(self, name: str, place: int, starts: np.ndarray, nats: np.ndarray) -> None:
        first, last = self._first[place], self._first[place + 1]
        if last > first:
            blocks = np.minimum(first + starts // BLOCK_BYTES, last - 1)
            self._bits[name] += np.bincount(blocks, nats / math.log(2), len(self._bytes))

    def _statistics(self, name: str) -> Float[np.ndarray, "blocks 2"]:
        return np.stack([self._bits[name], self._bytes], axis=1)


def _per_byte(sums: np.ndarray) -> np.ndarray:
    found: np.ndarray = sums[..., :1] / sums[..., 1:]
    return found


def token_starts(tokenizer: Tokenizer, ids: Sequence[int], num_bytes: int) -> np.ndarray:
    """Where tokens begin in their text; evenly spread where a tokenizer does not give the text's own bytes back."""
    table = tokenizer.token_bytes
    lengths = np.array([len(table[index]) for index in ids], dtype=np.int64)
    if lengths.sum() != num_bytes:
        return np.arange(len(ids)) * num_bytes // max(1, len(ids))
    return np.cumsum(lengths) - lengths
