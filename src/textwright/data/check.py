"""What there is to see of examples before anything is learned from them: lengths, repetitions, rows of an epoch.

::

    texts, pairs, chats ----> lengths in tokens ----> rows of an epoch
                        ----> hash of prompt and completion, and of the prompt alone ----> repetitions
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textwright.data.examples import Example
from textwright.data.packing import lay_out

NUM_BARS = 24
BARS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Lengths:
    """How many tokens examples have, their ends counted."""

    smallest: int
    median: float
    percentile_95: float
    largest: int
    counts: tuple[int, ...]
    """Examples in bins of equal width, the smallest first."""
    bin_tokens: float
    """The width of a bin."""

    @property
    def line(self) -> str:
        """The counts as a line of bars; what is not empty has one."""
        most = max(self.counts)
        return "".join(BARS[math.ceil(count / most * (len(BARS) - 1))] for count in self.counts)


def lengths_of(lengths: Sequence[int]) -> Lengths | None:
    """The figures of some lengths in tokens; None where there are none."""
    if not lengths:
        return None
    found = np.asarray(lengths, dtype=np.int64)
    smallest, largest = int(found.min()), int(found.max())
    num_bins = min(NUM_BARS, largest - smallest + 1)
    counts, edges = np.histogram(found, bins=num_bins, range=(smallest, largest + 1))
    median, high = (float(value) for value in np.percentile(found, [50, 95]))
    return Lengths(smallest, median, high, largest, tuple(counts.tolist()), float(edges[1] - edges[0]))


@dataclass(frozen=True)
class Repetitions:
    """Examples that were there before."""

    num_whole: int = 0
    """Prompt and completion, or text, are those of an earlier one."""
    first_whole: tuple[str, str] | None = None
    """The first such, and the earlier one."""
    num_prompts: int = 0
    """Only the prompt is."""
    first_prompt: tuple[str, str] | None = None
    """The first such, and the earlier one."""


class SeenExamples:
    """Which examples there were, by their hashes."""

    def __init__(self) -> None:
        self._wholes: dict[bytes, str] = {}
        self._prompts: dict[bytes, str] = {}

    def find(self, example: Example) -> tuple[str | None, str | None]:
        """The place of the first that is the same, and of the first with the same prompt; None where there is none."""
        whole, prompt = _hashes(example)
        return self._wholes.get(whole), self._prompts.get(prompt) if prompt else None

    def add(self, example: Example) -> None:
        """Remember one, unless the same was there."""
        whole, prompt = _hashes(example)
        self._wholes.setdefault(whole, place_of(example))
        if prompt:
            self._prompts.setdefault(prompt, place_of(example))


class CountRepetitions:
    """Examples that are among others, counted as they come.

    Args:
        seen: the others.
    """

    def __init__(self, seen: SeenExamples) -> None:
        self._seen, self._nums = seen, [0, 0]
        self._firsts: list[tuple[str, str] | None] = [None, None]

    def see(self, example: Example) -> None:
        """Look for one among the others."""
        whole, prompt = self._seen.find(example)
        kind, place = (0, whole) if whole is not None else (1, prompt)
        if place is not None:
            self._nums[kind] += 1
            self._firsts[kind] = self._firsts[kind] or (place_of(example), place)

    def result(self) -> Repetitions:
        """What was found so far."""
        return Repetitions(self._nums[0], self._firsts[0], self._nums[1], self._firsts[1])


def place_of(example: Example) -> str:
    """Where an example comes from: its file, and its name or number there."""
    document = example.document
    return document.source if document.id is None else f"{document.source}:{document.id}"


def halves_of(example: Example) -> tuple[str, str]:
    """What is given before anything is learned, and the rest."""
    if example.prompt is not None:
        return example.header + example.prompt, example.text
    spans = example.document.spans
    start = spans[0][0] if spans else 0
    return example.header + example.text[:start], example.text[start:]


def _hashes(example: Example) -> tuple[bytes, bytes]:
    """Of prompt and completion, and of the prompt; nothing for an empty one."""
    prompt, rest = halves_of(example)
    return _hash(f"{len(prompt)}:{prompt}{rest}"), _hash(prompt) if prompt.strip() else b""


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Epoch:
    """The rows in which all examples are learned once."""

    num_rows: int
    row_length: int
    """Places of a row."""
    num_steps: int
    """At so many rows a step; the last may begin the next epoch."""
    num_padding: int
    """Places that hold nothing."""


def epoch_of(lengths: Sequence[int], *, row_length: int, batch_size: int, seed: int = 0) -> Epoch:
    """How documents are laid into rows (see ``packing.lay_out``).

    Args:
        lengths: places that each takes, in their order; at least one.
        row_length: places of a row.
        batch_size: rows of a step.
        seed: as the run's.
    """
    ends = np.cumsum(np.asarray(lengths, dtype=np.int64))
    num_rows = lay_out(ends, row_length, seed).num_rows
    return Epoch(num_rows, row_length, math.ceil(num_rows / batch_size), num_rows * row_length - int(ends[-1]))
