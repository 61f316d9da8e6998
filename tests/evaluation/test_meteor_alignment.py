"""The compiled search finds what a plain one finds, step by step as METEOR's program goes."""

from itertools import accumulate, chain
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.evaluation.metrics.meteor.alignment import (
    BEAM,
    EXACT,
    NUM_KINDS,
    STEM,
    Vocabulary,
    count_pairs,
)

NUM_WORDS = 12
STEMS = [word // 2 for word in range(NUM_WORDS)]
"""Words 0 and 1 have one stem, 2 and 3, and so on."""
FUNCTIONS = [int(word % 5 == 0) for word in range(NUM_WORDS)]
MEANINGS = [[3, 7], [3], [], [1, 7, 9], [2], [2, 9], [], [], [4, 5], [6], [0, 4], [8]]
TEXTS = st.lists(st.integers(0, NUM_WORDS - 1), max_size=30)


class Path(NamedTuple):
    """Part of an alignment."""

    exact: int = 0
    closed: int = 0
    distance: int = 0
    end: int | None = None
    matches: tuple[tuple[int, int] | None, ...] = ()


@given(hypothesis=TEXTS, reference=TEXTS)
@settings(max_examples=200, deadline=None)
def test_the_search_is_the_plain_one(hypothesis: list[int], reference: list[int]) -> None:
    assert fast_counts(hypothesis, reference) == plain_counts(hypothesis, reference)


@given(hypothesis=st.lists(st.integers(0, 3), min_size=60, max_size=90))
@settings(max_examples=8, deadline=None)
def test_it_is_so_where_the_beam_is_full_and_words_are_more_than_64(hypothesis: list[int]) -> None:
    reference = hypothesis[40:] + hypothesis[:30]
    assert fast_counts(hypothesis, reference) == plain_counts(hypothesis, reference)


def fast_counts(hypothesis: list[int], reference: list[int]) -> list[int]:
    """By the kernels."""
    words = np.array([*hypothesis, *reference], np.int64)
    starts = np.array([0, len(hypothesis), len(words)], np.int64)
    vocabulary = Vocabulary(
        np.array(STEMS, np.int64),
        np.array(FUNCTIONS, np.int64),
        np.array([0, *accumulate(map(len, MEANINGS))], np.int64),
        np.array(list(chain.from_iterable(MEANINGS)), np.int64),
    )
    found: list[int] = count_pairs(words, starts, np.array([[0, 1]], np.int64), vocabulary)[0].tolist()
    return found


def plain_counts(hypothesis: list[int], reference: list[int]) -> list[int]:
    """By whole lists of paths, sorted at every step."""
    kinds = range(1 if hypothesis == reference else NUM_KINDS)
    candidates = [
        [(place, kind) for kind in kinds for place, word in enumerate(hypothesis) if matches(kind, word, wanted)]
        for wanted in reference
    ]
    times = [sum(place == other for row in candidates for other, _ in row) for place in range(len(hypothesis))]
    paths = [Path()]
    for row in candidates:
        is_fixed = len(row) == 1 and times[row[0][0]] == 1
        paths = ranked([step for path in paths for step in steps(path, row, is_fixed)])[:BEAM]
    best = ranked([path._replace(closed=path.closed + (path.end is not None)) for path in paths])[0].matches
    return counted(hypothesis, reference, best)


def matches(kind: int, word: int, other: int) -> bool:
    """Whether words match in this way."""
    if kind == EXACT or word == other:
        return kind == EXACT and word == other
    return STEMS[word] == STEMS[other] if kind == STEM else bool(set(MEANINGS[word]) & set(MEANINGS[other]))


def ranked(paths: list[Path]) -> list[Path]:
    """The best first; those that are as good in their order."""
    return sorted(paths, key=lambda path: (-path.exact, path.closed, path.distance))


def steps(path: Path, row: list[tuple[int, int]], is_fixed: bool) -> list[Path]:
    """All that a path can become with one more word of the reference."""
    taken = {match[0] for match in path.matches if match is not None}
    found, distance = [], path.distance
    for place, kind in row:
        if place not in taken:
            apart = abs(place - len(path.matches))
            closed = path.closed + (path.end is not None and path.end != place)
            matches = (*path.matches, (place, kind))
            # A distance counts for what is tried after it, not for itself, unless the match is fixed.
            found.append(Path(path.exact + (kind == EXACT), closed, distance + is_fixed * apart, place + 1, matches))
            distance += apart
    skipped = Path(path.exact, path.closed + (path.end is not None), distance, None, (*path.matches, None))
    return found if is_fixed else [*found, skipped]


def counted(hypothesis: list[int], reference: list[int], best: tuple[tuple[int, int] | None, ...]) -> list[int]:
    """What there is of words, chunks and matches."""
    functions = [sum(FUNCTIONS[word] for word in text) for text in (hypothesis, reference)]
    chunks = sum(
        match is not None and (n == 0 or (before := best[n - 1]) is None or before[0] + 1 != match[0])
        for n, match in enumerate(best)
    )
    if chunks == 1 and None not in best and len(hypothesis) == len(reference):
        chunks = 0
    found = [len(hypothesis), functions[0], len(reference), functions[1], chunks]
    for kind in range(NUM_KINDS):
        pairs = [
            (hypothesis[match[0]], reference[n])
            for n, match in enumerate(best)
            if match is not None and match[1] == kind
        ]
        found += [len(pairs), sum(FUNCTIONS[word] for word, _ in pairs), sum(FUNCTIONS[other] for _, other in pairs)]
    return found
