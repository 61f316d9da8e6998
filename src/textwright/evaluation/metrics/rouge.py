"""ROUGE: how many words, pairs of words, and words in their order, predictions and references have in common."""

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import final

import numpy as np
from jaxtyping import Float
from rouge_score.rouge_scorer import RougeScorer

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.ratios import ratio
from textwright.evaluation.words import has_characters, words_of

KINDS = ("rouge_1", "rouge_2", "rouge_l", "rouge_lsum")
_THEIR_NAMES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class _Words:
    """Our words, in the form that rouge-score asks for."""

    def tokenize(self, text: str) -> list[str]:
        return words_of(text)


@final
class Rouge(Metric):
    """F, precision and recall of ROUGE-1, -2, -L and -Lsum, as rouge-score computes them: means over examples.

    Of several references the one with the highest F counts, for each kind by itself. Lsum takes lines for sentences.

    rouge-score sees ``a`` to ``z`` and digits only. Where a text has characters of a script without spaces between
    words, or its references are mostly in other letters than these, words and characters are ours.
    """

    figures = tuple(Figure(f"{kind}{part}", 0, 1, True) for part in ("", "_precision", "_recall") for kind in KINDS)
    source = "Lin 2004; rouge-score"

    @cached_property
    def _theirs(self) -> RougeScorer:
        return RougeScorer(_THEIR_NAMES)

    @cached_property
    def _ours(self) -> RougeScorer:
        return RougeScorer(_THEIR_NAMES, tokenizer=_Words())

    @property
    def signature(self) -> str:
        splitter = "words:a-z0-9 (other scripts: words and, without spaces between words, characters)"
        return f"{splitter}|stemmer:no|references:best|version:{version('rouge-score')}"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        rows = np.ones((len(examples), 1 + len(self.figures)))
        for row, example in zip(rows, examples, strict=True):
            scorer = self._theirs if _is_for_rouge_score(example) else self._ours
            found = scorer.score_multi(example.references, example.prediction)
            scores = [found[name] for name in _THEIR_NAMES]
            row[1:] = [
                *(score.fmeasure for score in scores),
                *(score.precision for score in scores),
                *(score.recall for score in scores),
            ]
        return rows

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        return ratio(sums[..., 1:], sums[..., :1])


def _is_for_rouge_score(example: Judged) -> bool:
    """Whether rouge-score sees enough of the texts."""
    if any(map(has_characters, (example.prediction, *example.references))):
        return False
    letters = [letter for text in example.references if not text.isascii() for letter in text if letter.isalpha()]
    return 2 * sum(map(str.isascii, letters)) >= len(letters)
