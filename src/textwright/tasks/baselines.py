"""What answers without a model: what any system must beat.

Each takes examples to learn from and examples to answer, and gives texts as a model would write them.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from textwright.core.errors import unknown_name
from textwright.core.seeds import hash_u64
from textwright.tasks.base import Example
from textwright.tasks.documents import WORDS
from textwright.tasks.references import completions_of
from textwright.tasks.wording import is_spaceless

Baseline = Callable[[Sequence[Example], Sequence[Example]], list[str]]
Before = tuple[str, str]
"""The last two words; empty ones before the first."""
MOST_WORDS = 100
"""Of a text that is made of n-grams."""
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s|(?<=[。！？])")


def majority(train: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """The completion that is learned most often, of equals the first."""
    counts = Counter(completion for example in train for completion in completions_of(example))
    found = counts.most_common(1)
    return [found[0][0] if found else ""] * len(test)


def copy(train: Sequence[Example], test: Sequence[Example]) -> list[str]:  # noqa: ARG001
    """The source as it is."""
    return [example.source for example in test]


def lead(train: Sequence[Example], test: Sequence[Example]) -> list[str]:  # noqa: ARG001
    """The source's first sentence."""
    return [_SENTENCE_ENDS.split(example.source, maxsplit=1)[0] for example in test]


def ngram(train: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """A text in which each word follows the two before it as it does in what is learned, whatever the prompt.

    It is drawn by the example's place: the same examples, the same texts.
    """
    completions = [completion for example in train for completion in completions_of(example)]
    counts = dict[Before, Counter[str]]()
    for completion in completions:
        before = ("", "")
        for word in [*WORDS.findall(completion), ""]:
            counts.setdefault(before, Counter())[word] += 1
            before = (before[1], word)
    words = {before: sorted(found) for before, found in counts.items()}
    following = {before: (some, [*accumulate(counts[before][word] for word in some)]) for before, some in words.items()}
    between = "" if any(map(is_spaceless, completions[:100])) else " "
    return [between.join(_drawn(following, place)) for place in range(len(test))]


def _drawn(following: Mapping[Before, tuple[list[str], list[int]]], place: int) -> list[str]:
    """Words, each drawn from those that follow the two before it, which come with the sums of their counts."""
    drawn, before = list[str](), ("", "")
    while before in following and len(drawn) < MOST_WORDS:
        words, sums = following[before]
        word = words[bisect_right(sums, hash_u64("ngram", place, len(drawn)) % sums[-1])]
        if not word:
            break
        drawn.append(word)
        before = (before[1], word)
    return drawn


BASELINES: Mapping[str, Baseline] = {"majority": majority, "copy": copy, "lead": lead, "ngram": ngram}


def find_baseline(name: str) -> Baseline:
    """The baseline of a name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in BASELINES:
        raise unknown_name("baseline", name, BASELINES)
    return BASELINES[name]
