"""TER: how many words must be changed, moved or left out until a prediction is its reference."""

from collections.abc import Sequence
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.ter import TER

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.sacrebleu_statistics import sacrebleu_signature, sacrebleu_statistics
from textwright.evaluation.words import Writing, writing_of


@final
class Ter(Metric):
    """Translation edit rate, as sacrebleu computes it: edits for each 100 words of the references.

    References in Chinese are split by sacrebleu's support for Asian languages. It splits neither kana nor hangul nor
    Thai: where references are in these, each character is a word.
    """

    figures = (Figure("ter", 0, np.inf, False),)
    source = "Snover et al. 2006; sacrebleu (Post 2018)"

    @cached_property
    def _by_writing(self) -> dict[Writing, TER]:
        return {"words": TER(), "chinese": TER(normalized=True, asian_support=True), "characters": TER()}

    @property
    def signature(self) -> str:
        theirs = sacrebleu_signature(self._by_writing["words"])
        others = "in Chinese: norm:yes|asian:yes; in Japanese, Korean, Thai and their like: characters"
        return f"{theirs} (references {others})"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        return sacrebleu_statistics(self._by_writing, [_in_words(example) for example in examples])

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        edits, length = sums[..., :1], sums[..., 1:]
        # Where the references have no words, every word is as wrong as can be.
        found: np.ndarray = np.divide(edits, length, out=np.where(edits > 0, 1.0, 0.0), where=length > 0)
        return 100 * found


def _in_words(example: Judged) -> tuple[str, Sequence[str]]:
    """The prediction and its references, with spaces between characters where these count as words."""
    if writing_of(example.references) != "characters":
        return example.prediction, example.references
    said, *wanted = (" ".join("".join(text.split())) for text in (example.prediction, *example.references))
    return said, wanted
