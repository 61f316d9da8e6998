"""Which runs of words or tokens are in a training text: each as a hash of 64 bits, so that a large text fits."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, UInt64

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.evaluation.words import words_of

HASHES_AT_ONCE = 1 << 22
_BASE = 0x9E3779B97F4A7C15


class NgramIndex:
    """The n-grams of documents, and which of another text's are among them.

    With a billion n-grams in it, one that is not passes for one that is with a chance of one in ten thousand millions.

    Args:
        documents: texts, of which words count (see ``words_of``), or token ids; of one kind.
        n: the length of a run.
    """

    def __init__(self, documents: Iterable[str | Sequence[int] | np.ndarray], *, n: int = 13) -> None:
        self.n, self._hash_by_word = n, dict[str, int]()
        self.is_of_words: bool | None = None
        """Or of token ids; None where there is no document."""
        self._hashes = np.zeros(0, dtype=np.uint64)
        for some in self._in_blocks(documents):
            self._hashes = np.union1d(self._hashes, some)

    def occurs(self, document: str | Sequence[int] | np.ndarray) -> Bool[np.ndarray, " windows"]:
        """Of each run of n words or tokens, whether it is in the documents."""
        hashes = self._hash_windows(document)
        places = np.searchsorted(self._hashes, hashes)
        if not len(self._hashes):
            return np.zeros(len(hashes), dtype=np.bool_)
        found: np.ndarray = self._hashes.take(places, mode="clip") == hashes
        return found

    def _in_blocks(self, documents: Iterable[str | Sequence[int] | np.ndarray]) -> Iterator[np.ndarray]:
        held, num_held = list[np.ndarray](), 0
        for document in documents:
            held.append(self._hash_windows(document))
            self.is_of_words = isinstance(document, str)
            num_held += len(held[-1])
            if num_held >= HASHES_AT_ONCE:
                yield np.concatenate(held)
                held, num_held = [], 0
        if held:
            yield np.concatenate(held)

    def _hash_windows(self, document: str | Sequence[int] | np.ndarray) -> UInt64[np.ndarray, " windows"]:
        if self.is_of_words not in (None, isinstance(document, str)):
            raise InputError("texts and token ids in one index", expected="one kind of documents")
        units = _mixed(self._units(document))
        hashes = np.zeros(max(0, len(units) - self.n + 1), dtype=np.uint64)
        for place in range(self.n):
            factor = np.uint64(pow(_BASE, place + 1, 1 << 64))
            hashes += units[place : place + len(hashes)] * factor
        return hashes

    def _units(self, document: str | Sequence[int] | np.ndarray) -> UInt64[np.ndarray, " units"]:
        if not isinstance(document, str):
            return np.asarray(document, dtype=np.uint64)
        known = self._hash_by_word
        words = words_of(document)
        for word in words:
            if word not in known:
                known[word] = hash_u64(word)
        return np.array([known[word] for word in words], dtype=np.uint64)


def longest_span(occurs: Bool[np.ndarray, " windows"], n: int) -> tuple[int, int]:
    """Where the longest span begins of which every run of n is in an index, and its length: words or tokens.

    Args:
        occurs: as ``NgramIndex.occurs`` has it.
        n: the index's.

    Returns:
        (0, 0) where there is none.
    """
    edges = np.diff(occurs.astype(np.int8), prepend=0, append=0)
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(begins):
        return 0, 0
    longest = int(np.argmax(ends - begins))
    return int(begins[longest]), int(ends[longest] - begins[longest]) + n - 1


def _mixed(units: UInt64[np.ndarray, " units"]) -> UInt64[np.ndarray, " units"]:
    """Numbers that have nothing in common with their neighbours, as ids that follow each other do (splitmix64)."""
    mixed = units + np.uint64(_BASE)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
