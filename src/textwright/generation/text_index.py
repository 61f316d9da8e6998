"""What filters and prompt lookup ask of a text, kept as the text grows: each token is looked at once. Torch-free.

::

    text         a b c a b            counts                        a: 2   b: 2   c: 1
                 └─┬─┘ └┬┘            where "a b" went on last      at c
      looked at before  new           what followed "a b"           c
"""

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LONGEST_RUN = 3
"""Tokens of a text's end that are looked for, at most, where it is asked how the text went on the last time."""
LONGEST_KEY = 16
"""Longer runs of tokens are found by their last ones, and compared: to keep them whole could take any memory."""

Ids = npt.NDArray[np.int64]


def length_in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many first ids two texts share."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:  # the first ``low`` are the same, the first ``high`` are not
        middle = (low + high) // 2
        if one[low : middle + 1] == other[low : middle + 1]:
            low = middle + 1
        else:
            high = middle
    return low


class TextIndex:
    """The ids of a text, and what is known of them.

    Nothing is made before it is asked for; then it follows the text from where it last stopped. So it costs the same
    for each token however long the text is, and nothing where nobody asks.

    Attributes:
        ids: of prompt and text. They may only be added to, at the end.
        num_prompt_ids: how many of them are the prompt's.
    """

    def __init__(self, ids: list[int], num_prompt_ids: int = 0) -> None:
        self.ids, self.num_prompt_ids = ids, num_prompt_ids
        self._counts: dict[int, _Counts] = {}
        self._followers: dict[int, _Followers] = {}
        self._latest = _LatestPlaces()

    def copy(self) -> "TextIndex":
        """The same text so far; from here each goes its own way. What is known is copied, not looked at again."""
        other = TextIndex(self.ids.copy(), self.num_prompt_ids)
        other._counts = {start: counts.copy() for start, counts in self._counts.items()}
        other._followers = {n: followers.copy() for n, followers in self._followers.items()}
        other._latest = self._latest.copy()
        return other

    def counts(self, start: int) -> tuple[Ids, Ids]:
        """The different ids from place ``start`` on, in the order of their first coming, and how often each comes."""
        if start not in self._counts:
            self._counts[start] = _Counts(start)
        return self._counts[start].of(self.ids)

    def followers(self, run: Sequence[int]) -> list[int]:
        """The different ids that ever followed a run of ids."""
        if len(run) not in self._followers:
            self._followers[len(run)] = _Followers(len(run))
        return self._followers[len(run)].of(self.ids, run)

    def last_likeness(self) -> tuple[int, int]:
        """How many of the last ids, three at most, stood together before, and the place after the last time.

        (0, 0) where not even the last one did.
        """
        return self._latest.of(self.ids)


class _Counts:
    """How often each id comes."""

    def __init__(self, start: int) -> None:
        self._next = start
        self._slots: dict[int, int] = {}
        self._different, self._times = array("q"), array("q")

    def copy(self) -> "_Counts":
        other = _Counts(self._next)
        other._slots, other._different, other._times = self._slots.copy(), self._different[:], self._times[:]
        return other

    def of(self, ids: Sequence[int]) -> tuple[Ids, Ids]:
        for place in range(self._next, len(ids)):
            token_id = ids[place]
            slot = self._slots.setdefault(token_id, len(self._different))
            if slot == len(self._different):
                self._different.append(token_id)
                self._times.append(0)
            self._times[slot] += 1
        self._next = max(self._next, len(ids))
        return np.array(self._different, np.int64), np.array(self._times, np.int64)


class _Followers:
    """Which ids followed each run of ``length``: or, of longer runs than a key holds, the places of what did."""

    def __init__(self, length: int) -> None:
        self._length, self._next = length, length
        self._found: dict[tuple[int, ...], tuple[int, ...]] = {}

    def copy(self) -> "_Followers":
        other = _Followers(self._length)
        other._next, other._found = self._next, self._found.copy()
        return other

    def of(self, ids: Sequence[int], run: Sequence[int]) -> list[int]:
        key_length, is_whole = min(self._length, LONGEST_KEY), self._length <= LONGEST_KEY
        for place in range(self._next, len(ids)):
            key = tuple(ids[place - key_length : place])
            known, found = self._found.get(key, ()), ids[place] if is_whole else place
            if found not in known:
                self._found[key] = (*known, found)
        self._next = max(self._next, len(ids))
        known = self._found.get(tuple(run[len(run) - key_length :]), ())
        if is_whole:
            return list(known)
        same = (place for place in known if list(ids[place - self._length : place]) == list(run))
        return list(dict.fromkeys(ids[place] for place in same))


class _LatestPlaces:
    """The place after the last time that each run of one to three ids came and something followed it."""

    def __init__(self) -> None:
        self._next = 1
        self._places: dict[tuple[int, ...], int] = {}

    def copy(self) -> "_LatestPlaces":
        other = _LatestPlaces()
        other._next, other._places = self._next, self._places.copy()
        return other

    def of(self, ids: Sequence[int]) -> tuple[int, int]:
        for place in range(self._next, len(ids)):
            before = tuple(ids[max(0, place - LONGEST_RUN) : place])
            for length in range(1, len(before) + 1):
                self._places[before[-length:]] = place
        self._next = max(self._next, len(ids))
        end = tuple(ids[max(0, len(ids) - LONGEST_RUN) :])
        for length in range(min(LONGEST_RUN, len(ids) - 1), 0, -1):
            place_after = self._places.get(end[-length:])
            if place_after is not None:
                return length, place_after
        return 0, 0
