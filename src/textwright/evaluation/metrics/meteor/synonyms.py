"""Which words mean the same, by WordNet as METEOR's program carries it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from textwright.core.errors import InputError
from textwright.evaluation.metrics.meteor.word_lists import read_members

MEANINGS_IN_JAR = "synonym/english.synsets"
FORMS_IN_JAR = "synonym/english.exceptions"

ENDINGS = (
    *(
        ("s", ""),
        ("ses", "s"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    *(("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    *(("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
)
"""Of nouns, verbs and adjectives, and what stands in their place in the base form, in the order in which WordNet tries
them."""


class Synonyms:
    """The meanings of words, as numbers.

    Args:
        meanings: of each word in its base form.
        bases: of each irregular form, the words that it may be of.
    """

    def __init__(self, meanings: Mapping[str, Sequence[int]], bases: Mapping[str, Sequence[str]]) -> None:
        self._meanings, self._bases = meanings, bases

    @classmethod
    def of_jar(cls, path: Path) -> Self:
        """Those of METEOR's program, a ``.jar``, which is read and not run.

        Raises:
            InputError: it holds none.
        """
        meanings, forms = read_members(path, (MEANINGS_IN_JAR, FORMS_IN_JAR))
        bases: dict[str, list[str]] = {}
        try:
            for base, its_forms in _in_pairs(forms):
                for form in its_forms.split():
                    bases.setdefault(form, []).append(base)
            return cls(
                {word: [int(number) for number in numbers.split()] for word, numbers in _in_pairs(meanings)}, bases
            )
        except ValueError:
            raise InputError(f"{path} holds no synonyms that METEOR reads", expected="meteor-1.5.jar") from None

    def meanings_of(self, word: str) -> list[int]:
        """The meanings of a word and of its base form, in rising order."""
        bases = self._bases.get(word) or self._regular_base(word)
        return sorted({meaning for form in (word, *bases) for meaning in self._meanings.get(form, ())})

    def _regular_base(self, word: str) -> list[str]:
        """The first base form that is a word."""
        if word.endswith("ss") or len(word) <= 2:
            return []
        found = (word.removesuffix(ending) + base for ending, base in ENDINGS if word.endswith(ending))
        return next(([form] for form in found if form in self._meanings), [])


def _in_pairs(text: str) -> list[tuple[str, str]]:
    """Lines, two by two."""
    lines = text.splitlines()
    return list(zip(lines[::2], lines[1::2], strict=True))
