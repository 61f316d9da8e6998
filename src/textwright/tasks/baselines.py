"""What answers without a model: what any system must beat.

Each takes examples to learn from and examples to answer, and gives texts as a model would write them.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from textwright.core.errors import unknown_name
from textwright.core.seeds import hash_u64
from textwright.tasks.base import Example
from textwright.tasks.documents import WORDS
from textwright.tasks.references import completions_of
from textwright.tasks.wording import is_spaceless

Baseline = Callable[[Sequence[Example], Sequence[Example]], list[str]]
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
    following = dict[tuple[str, str], Counter[str]]()
    completions = [completion for example in train for completion in completions_of(example)]
    for completion in completions:
        before = ("", "")
        for word in [*WORDS.findall(completion), ""]:
            following.setdefault(before, Counter())[word] += 1
            before = (before[1], word)
    between = "" if any(map(is_spaceless, completions[:100])) else " "
    return [between.join(_drawn(following, place)) for place in range(len(test))]


def _drawn(following: Mapping[tuple[str, str], Counter[str]], place: int) -> list[str]:
    words, before = list[str](), ("", "")
    while before in following and len(words) < MOST_WORDS:
        counts = following[before]
        drawn = hash_u64("ngram", place, len(words)) % counts.total()
        word = next(islice(Counter(dict(sorted(counts.items()))).elements(), drawn, None))
        if not word:
            break
        words.append(word)
        before = (before[1], word)
    return words


BASELINES: Mapping[str, Baseline] = {"majority": majority, "copy": copy, "lead": lead, "ngram": ngram}


def find_baseline(name: str) -> Baseline:
    """The baseline of a name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in BASELINES:
        raise unknown_name("baseline", name, BASELINES)
    return BASELINES[name]
