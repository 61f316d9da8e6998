"""TER: how many words must be changed, moved or left out until a prediction is its reference."""

from collections.abc import Sequence
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.ter import TER

from textwright.evaluation.metrics.base import Figure, Judged, Metric
from textwright.evaluation.sacrebleu_statistics import sacrebleu_signature, sacrebleu_statistics
from textwright.evaluation.words import Writing


@final
class Ter(Metric):
    """Translation edit rate, as sacrebleu computes it: edits for each 100 words of the references.

    Where the references are written without spaces between words, its splitting for Asian languages is on.
    """

    figures = (Figure("ter", 0, np.inf, False),)
    source = "Snover et al. 2006; sacrebleu (Post 2018)"

    @cached_property
    def _by_writing(self) -> dict[Writing, TER]:
        asian = TER(normalized=True, asian_support=True)
        return {"words": TER(), "chinese": asian, "characters": asian}

    @property
    def signature(self) -> str:
        theirs = sacrebleu_signature(self._by_writing["words"])
        return f"{theirs} (references in Chinese, Japanese, Korean, Thai and their like: norm:yes|asian:yes)"

    def measure(self, examples: Sequence[Judged]) -> Float[np.ndarray, "examples k"]:
        self.check(examples)
        return sacrebleu_statistics(self._by_writing, [(one.prediction, one.references) for one in examples])

    def values(self, sums: Float[np.ndarray, "*sets k"]) -> Float[np.ndarray, "*sets figures"]:
        edits, length = sums[..., :1], sums[..., 1:]
        # Where the references have no words, every word is as wrong as can be.
        found: np.ndarray = np.divide(edits, length, out=np.where(edits > 0, 1.0, 0.0), where=length > 0)
        return 100 * found
