"""Which words of a hypothesis stand for which of its reference: METEOR 1.5's matches and its search, compiled.

::

    hypothesis    the  cats  sat          a match is exact (the, sat) or of stems (cats);
                   |    :     |           words that are each other's only match are fixed,
    reference     the  cat   sat  down    the others are chosen by a beam search along the reference

Words are numbers here, of one vocabulary for all texts.

Source: Denkowski and Lavie 2014, "Meteor Universal"; where its program does otherwise, as the program does.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from textwright.core.caches import keep_kernels
from textwright.core.kernel_build import KERNEL_BUILD

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]
F = TypeVar("F", bound=Callable[..., Any])

BEAM = 40
WORD_BITS = 64
CHUNK = 2**32
"""What a closed chunk costs a path; distance, which is less, breaks ties."""
EXACT, STEM, SYNONYM, NUM_KINDS = range(4)
"""What a match may be of: the same word, another word of the same stem, another one of the same meaning."""
NUM_COLUMNS = 5 + 3 * NUM_KINDS
"""What is counted: words of the hypothesis, function words among them, words and function words of the reference,
chunks; then of each kind of match how many there are, and how many are of function words, here and there."""
CHUNKS = 4


class Vocabulary(NamedTuple):
    """What is known of each word."""

    stems: Ints
    """The number of its stem."""
    functions: Ints
    """1 for a function word, 0 for others."""
    meaning_starts: Ints
    """Where each word has its meanings among all, and at the end how many there are."""
    meanings: Ints
    """Of each word in rising order; none where synonyms are not looked at."""


class Places(NamedTuple):
    """Where the words of a hypothesis are: the first place of each word, and after each place the next; -1: none."""

    first_of_word: Ints
    next_of_word: Ints
    first_of_stem: Ints
    next_of_stem: Ints


class Matches(NamedTuple):
    """All that could be matched."""

    starts: Ints
    """Where each word of the reference has its matches among all, and at the end how many there are."""
    places: Ints
    """Of each match: its place in the hypothesis."""
    kinds: Ints


def compiled(function: F) -> F:
    """At the first call, without the interpreter's lock, and kept on disk."""
    # Under test every function is wrapped to check its types; Numba wants it bare.
    bare = inspect.unwrap(function)
    made: F = njit(nogil=True, cache=keep_kernels(), boundscheck=KERNEL_BUILD.checks_bounds)(bare)
    return made


@compiled
def share_meaning(word: int, other: int, vocabulary: Vocabulary) -> bool:
    """Whether two words have a meaning in common."""
    starts, meanings = vocabulary.meaning_starts, vocabulary.meanings
    at, beside = starts[word], starts[other]
    while at < starts[word + 1] and beside < starts[other + 1]:
        if meanings[at] == meanings[beside]:
            return True
        if meanings[at] < meanings[beside]:
            at += 1
        else:
            beside += 1
    return False


@compiled
def find_places(hypothesis: Ints, vocabulary: Vocabulary, places: Places) -> None:
    """Note where each word and each stem is, from the end, so that the first comes first."""
    for i in range(len(hypothesis) - 1, -1, -1):
        word, stem = hypothesis[i], vocabulary.stems[hypothesis[i]]
        places.next_of_word[i], places.first_of_word[word] = places.first_of_word[word], i
        places.next_of_stem[i], places.first_of_stem[stem] = places.first_of_stem[stem], i


@compiled
def forget_places(hypothesis: Ints, vocabulary: Vocabulary, places: Places) -> None:
    """Have no word and no stem anywhere again."""
    for word in hypothesis:
        places.first_of_word[word] = places.first_of_stem[vocabulary.stems[word]] = -1


@compiled
def is_same(text: Ints, other: Ints) -> bool:
    """Whether texts have the same words in the same order."""
    for n in range(min(len(text), len(other))):
        if text[n] != other[n]:
            return False
    return len(text) == len(other)


@compiled
def longest_of(starts: Ints) -> int:
    """Of rows that lie one after the other, the length of the longest."""
    longest = 0
    for n in range(len(starts) - 1):
        longest = max(longest, starts[n + 1] - starts[n])
    return longest


@compiled
def find_matches(hypothesis: Ints, reference: Ints, vocabulary: Vocabulary, places: Places) -> Matches:
    """The matches of each word of the reference, exact ones first, those of a kind in the hypothesis' order."""
    num_kinds = 1 if is_same(hypothesis, reference) else NUM_KINDS
    starts = np.zeros(len(reference) + 1, np.int64)
    nothing = np.empty(0, np.int64)
    for j in range(len(reference)):
        found = match(reference[j], hypothesis, vocabulary, places, num_kinds, Matches(starts, nothing, nothing), 0)
        starts[j + 1] = starts[j] + found
    matches = Matches(starts, np.empty(starts[-1], np.int64), np.empty(starts[-1], np.int64))
    for j in range(len(reference)):
        match(reference[j], hypothesis, vocabulary, places, num_kinds, matches, starts[j])
    return matches


@compiled
def match(
    word: int, hypothesis: Ints, vocabulary: Vocabulary, places: Places, num_kinds: int, matches: Matches, at: int
) -> int:
    """Write the matches of a word of the reference from ``at`` on, where there is room.

    Returns:
        How many there are.
    """
    start, has_room = at, len(matches.places) > 0
    i = places.first_of_word[word]
    while i != -1:
        if has_room:
            matches.places[at], matches.kinds[at] = i, EXACT
        i, at = places.next_of_word[i], at + 1
    if num_kinds == 1:
        return at - start
    i = places.first_of_stem[vocabulary.stems[word]]
    while i != -1:
        if hypothesis[i] != word:
            if has_room:
                matches.places[at], matches.kinds[at] = i, STEM
            at += 1
        i = places.next_of_stem[i]
    if vocabulary.meaning_starts[word] < vocabulary.meaning_starts[word + 1]:
        for i in range(len(hypothesis)):
            if hypothesis[i] != word and share_meaning(hypothesis[i], word, vocabulary):
                if has_room:
                    matches.places[at], matches.kinds[at] = i, SYNONYM
                at += 1
    return at - start


@compiled
def find_fixed(num_words: int, matches: Matches) -> Ints:
    """1 for the words of the reference that have one match only, of a word that has no other one either."""
    times_matched = np.zeros(num_words, np.int64)
    for place in matches.places:
        times_matched[place] += 1
    fixed = np.zeros(len(matches.starts) - 1, np.int64)
    for j in range(len(fixed)):
        first = matches.starts[j]
        fixed[j] = matches.starts[j + 1] == first + 1 and times_matched[matches.places[first]] == 1
    return fixed


@compiled
def insert(keys: Ints, children: Ints, found: int, key: int, child: int) -> int:
    """Put a child among those found, behind what is as good; the worst of all may go.

    Returns:
        How many there are now.
    """
    at = min(found, BEAM - 1)
    while at > 0 and keys[at - 1] > key:
        keys[at], children[at] = keys[at - 1], children[at - 1]
        at -= 1
    keys[at], children[at] = key, child
    return min(found + 1, BEAM)


@compiled
def search(num_words: int, matches: Matches, fixed: Ints) -> Ints:
    """The match that each word of the reference has on the best path, as its place among all; -1 where it has none.

    A path is better the more exact matches it has (those of stems count for nothing here), then the fewer chunks it
    has closed, then the less distance; of equal ones the one that was there first. So a stem that could match in
    several ways matches only where that closes no chunk. Distance is what METEOR's program takes for it: how far the
    words of fixed matches are apart, and of other matches those that were tried and not taken.
    """
    starts, places, kinds = matches
    length, num_used = len(starts) - 1, num_words // WORD_BITS + 1
    # All that a path needs is in its key: costs, and distance below them.
    exact, chunk = (length + 2) * CHUNK, CHUNK
    parents, choices = np.empty((length, BEAM), np.int64), np.empty((length, BEAM), np.int64)
    keys, ends = np.zeros((2, BEAM), np.int64), np.full((2, BEAM), -1)
    used = np.zeros((2, BEAM, num_used), np.uint64)
    children = np.empty(BEAM, np.int64)
    most = BEAM * (1 + longest_of(starts))
    its_parent, its_choice = np.empty(most, np.int64), np.empty(most, np.int64)
    num_paths = 1
    for j in range(length):
        old, new = j % 2, (j + 1) % 2
        found = num_children = 0
        for path in range(num_paths):
            key, end = keys[old, path], ends[old, path]
            for choice in range(starts[j], starts[j + 1] + 1 - fixed[j]):
                child = key
                if choice == starts[j + 1]:
                    child += chunk * int(end != -1)
                else:
                    place = places[choice]
                    if is_used(used, old, path, place):
                        continue
                    child += chunk * int(end != -1 and place != end) - exact * int(kinds[choice] == EXACT)
                    child += abs(place - j) * fixed[j]
                    key += abs(place - j)
                if found < BEAM or child < keys[new, BEAM - 1]:
                    its_parent[num_children] = path
                    its_choice[num_children] = choice if choice < starts[j + 1] else -1
                    found = insert(keys[new], children, found, child, num_children)
                    num_children += 1
        for path in range(found):
            parent, choice = its_parent[children[path]], its_choice[children[path]]
            parents[j, path], choices[j, path], ends[new, path] = parent, choice, -1
            for n in range(num_used):
                used[new, path, n] = used[old, parent, n]
            if choice >= 0:
                ends[new, path] = places[choice] + 1
                use(used, new, path, places[choice])
        num_paths = found
    return trace(keys[length % 2], ends[length % 2], num_paths, parents, choices)


@compiled
def trace(keys: Ints, ends: Ints, num_paths: int, parents: Ints, choices: Ints) -> Ints:
    """What the best of the last paths took at each step; chunks that are open are closed first."""
    best = 0
    for path in range(num_paths):
        keys[path] += CHUNK * int(ends[path] != -1)
        if keys[path] < keys[best]:
            best = path
    taken = np.empty(len(parents), np.int64)
    for j in range(len(parents) - 1, -1, -1):
        taken[j], best = choices[j, best], parents[j, best]
    return taken


@compiled
def is_used(used: Bits, step: int, path: int, place: int) -> bool:
    """Whether a path has a word of the hypothesis already."""
    return (used[step, path, place // WORD_BITS] >> np.uint64(place % WORD_BITS)) & np.uint64(1) == np.uint64(1)


@compiled
def use(used: Bits, step: int, path: int, place: int) -> None:
    """Take a word of the hypothesis."""
    used[step, path, place // WORD_BITS] |= np.uint64(1) << np.uint64(place % WORD_BITS)


@compiled
def count(hypothesis: Ints, reference: Ints, vocabulary: Vocabulary, places: Places, out: Ints) -> None:
    """Align two texts and write what there is of words, chunks and matches into ``out``, [NUM_COLUMNS] of zeros.

    A text that is matched whole, in one chunk, counts as none: it pays no penalty, and brings none into a sum.
    """
    functions = vocabulary.functions
    out[0], out[2] = len(hypothesis), len(reference)
    for word in hypothesis:
        out[1] += functions[word]
    for word in reference:
        out[3] += functions[word]
    find_places(hypothesis, vocabulary, places)
    matches = find_matches(hypothesis, reference, vocabulary, places)
    forget_places(hypothesis, vocabulary, places)
    taken = search(len(hypothesis), matches, find_fixed(len(hypothesis), matches))
    num_matches, end = 0, -1
    for j in range(len(reference)):
        if taken[j] == -1:
            end = -1
            continue
        place, column = matches.places[taken[j]], 5 + 3 * matches.kinds[taken[j]]
        out[column] += 1
        out[column + 1] += functions[hypothesis[place]]
        out[column + 2] += functions[reference[j]]
        out[CHUNKS] += int(place != end)
        num_matches, end = num_matches + 1, place + 1
    if num_matches == len(hypothesis) == len(reference) and out[CHUNKS] == 1:
        out[CHUNKS] = 0


@compiled
def count_pairs(words: Ints, starts: Ints, pairs: Ints, vocabulary: Vocabulary) -> Ints:
    """What ``count`` says of each pair of texts.

    Args:
        words: of all texts, one after the other.
        starts: where each text begins among them, and at the end how many there are.
        pairs: the numbers of hypothesis and reference, [pairs, 2].
        vocabulary: of all words.

    Returns:
        [pairs, NUM_COLUMNS]
    """
    counts = np.zeros((len(pairs), NUM_COLUMNS), np.int64)
    num_words, longest = len(vocabulary.stems), longest_of(starts)
    places = Places(
        np.full(num_words, -1), np.empty(longest, np.int64), np.full(num_words, -1), np.empty(longest, np.int64)
    )
    for n in range(len(pairs)):
        hypothesis, reference = pairs[n, 0], pairs[n, 1]
        count(
            words[starts[hypothesis] : starts[hypothesis + 1]],
            words[starts[reference] : starts[reference + 1]],
            vocabulary,
            places,
            counts[n],
        )
    return counts
