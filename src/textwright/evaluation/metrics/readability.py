"""Readability: how long the sentences and words of predictions are."""

import re
from collections.abc import Sequence
from typing import final

import numpy as np
from jaxtyping import Float

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.words import sentences_of, words_of, writing_of

_VOWELS = re.compile(r"[aeiouyà-æè-ïò-öø-ýÿœ]+")
_SILENT_END = re.compile(r"(?<![^aeiouy]l)e$|(?<![td])ed$|(?<!ch)(?<!sh)(?<![csxzg])es$")


@final
class Readability(Metric):
    """Flesch's reading ease (100 is easy, 0 hard) and the grade of an American school that it is for (Kincaid).

    Both are for English. Of texts in scripts without spaces between words, characters in a sentence are counted
    instead. Syllables are groups of vowels (``y`` is one), one at least; not counted are an ``e`` at the end (but for
    ``-le`` after a consonant), ``-ed`` but after ``t`` or ``d``, and ``-es`` but after a hissing sound.
    """

    figures = (
        Figure("flesch_reading_ease", -np.inf, 121.22, None, "no prediction is written in words"),
        Figure("flesch_kincaid_grade", -3.4, np.inf, None, "no prediction is written in words"),
        Figure("characters_per_sentence", 0, np.inf, None, "all predictions are written in words"),
    )
    source = "Flesch 1948; Kincaid et al. 1975"
    needs_references = False

    @property
    def signature(self) -> str:
        return "syllables:groups of vowels|sentences:by . ! ? before white space"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = np.zeros((len(examples), 5))  # words, sentences, syllables; characters, sentences
        for row, example in zip(rows, examples, strict=True):
            words, num_sentences = words_of(example.prediction), len(sentences_of(example.prediction))
            if words and writing_of([example.prediction]) == "words":
                row[:3] = (len(words), num_sentences, sum(map(num_syllables, words)))
            elif words:
                row[3:] = (len(words), num_sentences)
        return rows

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        words, sentences, syllables, characters, their_sentences = np.moveaxis(sums, -1, 0)
        length, weight = ratio(words, sentences), ratio(syllables, words)
        ease = np.minimum(206.835 - 1.015 * length - 84.6 * weight, 121.22)
        grade = np.maximum(0.39 * length + 11.8 * weight - 15.59, -3.4)
        return np.stack([ease, grade, ratio(characters, their_sentences)], axis=-1)


def num_syllables(word: str) -> int:
    """The syllables of a word in lower case, by rule."""
    return max(1, len(_VOWELS.findall(_SILENT_END.sub("", word))))
