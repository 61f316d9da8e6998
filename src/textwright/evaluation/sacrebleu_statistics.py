"""sacrebleu's counts of each example, from which it makes the figures of a whole file."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from sacrebleu.metrics.base import Metric as SacrebleuMetric

from textwright.evaluation.words import Writing, writing_of


def sacrebleu_statistics(
    metrics: Mapping[Writing, SacrebleuMetric], examples: Sequence[tuple[str, Sequence[str]]]
) -> Float[np.ndarray, "examples k"]:
    """The counts of each example.

    Args:
        metrics: sacrebleu's for what an example's references are written in.
        examples: each a prediction, and its references.
    """
    places: dict[Writing, list[int]] = {}
    for place, (_, references) in enumerate(examples):
        places.setdefault(writing_of(references), []).append(place)
    rows: dict[int, Sequence[float]] = {}
    for writing, group in places.items():
        some = [examples[place] for place in group]
        num_references = max(len(references) for _, references in some)
        # sacrebleu takes a file for the first references, one for the second, ...; None where there is no such one.
        files = [
            [references[number] if number < len(references) else None for _, references in some]
            for number in range(num_references)
        ]
        # What ``corpus_score`` adds up, and sacrebleu's own tests of significance resample: there is no public name.
        found = metrics[writing]._extract_corpus_statistics([prediction for prediction, _ in some], files)  # type: ignore[arg-type]
        rows.update(zip(group, found, strict=True))
    return np.array([rows[place] for place in range(len(examples))], dtype=np.float64)


def sacrebleu_signature(metric: SacrebleuMetric) -> str:
    """sacrebleu's name for its settings and version, without the number of references, which is the examples'."""
    metric.corpus_score(["a"], [["a"]])
    return "|".join(part for part in str(metric.get_signature()).split("|") if not part.startswith("nrefs:"))
