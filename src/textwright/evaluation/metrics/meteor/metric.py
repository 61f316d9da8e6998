"""METEOR as a metric: texts become numbers, each reference is aligned, the best one counts."""

import zipfile
from abc import ABC
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.metrics.meteor.alignment import Ints, Vocabulary, count_pairs
from textwright.evaluation.metrics.meteor.porter2 import stem
from textwright.evaluation.metrics.meteor.score import score
from textwright.evaluation.metrics.meteor.synonyms import Synonyms
from textwright.evaluation.metrics.meteor.tokens import Tokenizer
from textwright.evaluation.metrics.meteor.word_lists import JAR_NAME, WordLists


class _Meteor(Metric, ABC):
    """METEOR 1.5 for English, by given lists of words.

    Each reference is aligned by itself; what the best one counts goes into the sums, of which a file's figure is made.
    """

    source = "Denkowski and Lavie 2014; as METEOR 1.5's program does"

    def __init__(self, lists: WordLists, synonyms: Synonyms | None = None) -> None:
        self._lists, self._synonyms = lists, synonyms
        self._tokenizer = Tokenizer(lists.abbreviations, lists.before_numbers)

    @property
    def signature(self) -> str:
        modules = "exact+stem" if self._synonyms is None else "exact+stem+synonym"
        return f"METEOR-1.5|lang:en|norm:yes|modules:{modules}|function-words:{self._lists.name}|by:textwright"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        counts = self._counts(examples)
        ends = list(accumulate((len(example.references) for example in examples), initial=0))
        scores = score(counts)
        # The first of equally good ones, as METEOR takes it.
        best = [start + int(np.argmax(scores[start:end])) for start, end in pairwise(ends)]
        return counts[best]

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return score(sums)[..., None]

    def _counts(self, examples: Sequence[Judged]) -> Float[np.ndarray, "pairs k"]:
        """What there is to count of each prediction with each of its references."""
        numbers = _numbering()
        pairs = [(numbers[each.prediction], numbers[text]) for each in examples for text in each.references]
        texts = self._tokenizer.words(list(numbers))
        vocabulary = _numbering()
        words = _integers(map(vocabulary.__getitem__, chain.from_iterable(texts)))
        starts = _integers(accumulate(map(len, texts), initial=0))
        of_pairs = np.array(pairs, np.int64).reshape(-1, 2)
        return count_pairs(words, starts, of_pairs, self._known(list(vocabulary))).astype(np.float64)

    def _known(self, words: Sequence[str]) -> Vocabulary:
        stems, functions = _numbering(), self._lists.function_words
        meanings = [self._synonyms.meanings_of(word) for word in words] if self._synonyms else [[] for _ in words]
        return Vocabulary(
            _integers(stems[stem(word)] for word in words),
            _integers(word in functions for word in words),
            _integers(accumulate(map(len, meanings), initial=0)),
            _integers(chain.from_iterable(meanings)),
        )


def _numbering() -> defaultdict[str, int]:
    """Gives each text that it is asked for a number, from 0 on."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def _integers(values: Iterable[int]) -> Ints:
    return np.fromiter(values, np.int64)


@final
class Meteor(_Meteor):
    """METEOR 1.5 with its exact and stem modules and its own lists of words.

    Args:
        jar: METEOR's ``meteor-1.5.jar``, which is read and not run.

    Raises:
        InputError: it is none.
    """

    figures = (Figure("meteor", 0, 1, True),)

    def __init__(self, jar: Path) -> None:
        super().__init__(_meteors_lists(jar))


@final
class MeteorSynonyms(_Meteor):
    """METEOR 1.5 with its exact, stem and synonym modules and its own lists of words.

    Args:
        jar: METEOR's ``meteor-1.5.jar``, which is read and not run.

    Raises:
        InputError: it is none.
    """

    figures = (Figure("meteor_synonyms", 0, 1, True),)

    def __init__(self, jar: Path) -> None:
        super().__init__(_meteors_lists(jar), Synonyms.of_jar(jar))


@final
class MeteorOwnWords(_Meteor):
    """METEOR 1.5 with its exact and stem modules and other function words: near METEOR's figures, and not the same.

    Args:
        function_words: a file of them, one a line; ours if there is none.

    Raises:
        InputError: the file is none of words.
    """

    figures = (Figure("meteor_own_words", 0, 1, True),)

    def __init__(self, function_words: Path | None = None) -> None:
        super().__init__(WordLists.own() if function_words is None else WordLists.of_file(function_words))

    @classmethod
    def with_file(cls, file: Path) -> Metric:
        """METEOR by its own lists of words where the file is its jar, else by function words that stand in it."""
        return Meteor(file) if zipfile.is_zipfile(file) else cls(file)


def _meteors_lists(jar: Path) -> WordLists:
    lists = WordLists.of_file(jar)
    if lists.name != JAR_NAME:
        raise InputError(f"{jar} is not METEOR 1.5's program", expected="meteor-1.5.jar", where="the metric meteor")
    return lists
