"""BLEU: how many n-grams of predictions are in their references."""

from collections.abc import Sequence
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.bleu import BLEU

from textwright.evaluation.bleu_formula import MAX_ORDER, bleu_of
from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.sacrebleu_statistics import sacrebleu_signature, sacrebleu_statistics
from textwright.evaluation.words import Writing

TOKENIZERS: dict[Writing, str] = {"words": "13a", "chinese": "zh", "characters": "char"}
"""sacrebleu's, by what the references of an example are written in."""


@final
class Bleu(Metric):
    """BLEU-4 of whole files, as sacrebleu computes it, and BLEU-1 to BLEU-3.

    References in Chinese are split as sacrebleu's ``zh`` does, those in other scripts without spaces between words, and
    Korean ones, into characters; ``zh`` is for neither kana nor hangul.
    """

    figures = (
        Figure("bleu", 0, 100, True, "no prediction has four words, so that there are no 4-grams"),
        Figure("bleu_1", 0, 100, True),
        Figure("bleu_2", 0, 100, True, "no prediction has two words, so that there are no 2-grams"),
        Figure("bleu_3", 0, 100, True, "no prediction has three words, so that there are no 3-grams"),
    )
    source = "Papineni et al. 2002; sacrebleu (Post 2018)"

    @cached_property
    def _by_writing(self) -> dict[Writing, BLEU]:
        # "force" keeps sacrebleu from warning of lines that look split already.
        return {writing: BLEU(tokenize=name, force=True) for writing, name in TOKENIZERS.items()}

    @property
    def signature(self) -> str:
        theirs = sacrebleu_signature(self._by_writing["words"])
        return f"{theirs} (references in Chinese: tok:zh; in Japanese, Korean, Thai and their like: tok:char)"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        return sacrebleu_statistics(self._by_writing, [(one.prediction, one.references) for one in examples])

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        lengths, correct, total = np.split(sums, [2, 2 + MAX_ORDER], axis=-1)
        return bleu_of(lengths, correct, total)[..., [3, 0, 1, 2]]
