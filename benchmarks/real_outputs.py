"""Statistics of real outputs, of which samples are drawn: what all of them come to is the truth.

::

    [clusters, members, k]: a cluster is what several systems say of one input
"""

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from public_text import public

MEMBERS = 5
"""Systems of a cluster."""


@dataclass(frozen=True)
class Population:
    """All outputs that there are."""

    name: str
    statistics: np.ndarray
    """[clusters, members, k]"""
    values: Callable[[np.ndarray], np.ndarray]

    @property
    def truth(self) -> float:
        """The figure of all of them."""
        return float(self.values(self.statistics.sum(axis=(0, 1)))[0])


def e2e_bleu() -> Population:
    """BLEU of 21 systems' texts for the 630 test inputs of the E2E challenge, each with all its references."""
    from sacrebleu.metrics import BLEU

    wanted: dict[str, list[str]] = {}
    with gzip.open(public("e2e/testset_w_refs.csv.gz"), "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            wanted.setdefault(row["mr"], []).append(row["ref"])
    most = max(map(len, wanted.values()))
    streams = [[refs[place] if place < len(refs) else None for refs in wanted.values()] for place in range(most)]
    metric = BLEU(references=streams)
    systems = []
    for path in sorted(public("metrics-e2e/primary").glob("*.tsv.gz")):
        said = _outputs(path)
        systems.append(metric._extract_corpus_statistics([said[mr] for mr in wanted], None))
    return Population("BLEU, E2E", np.array(systems, dtype=np.float64).transpose(1, 0, 2), bleu)


def bleu(sums: np.ndarray) -> np.ndarray:
    """Of sacrebleu's statistics, without smoothing: 0 where a length has no match."""
    length, wanted, correct, total = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.exp(np.log(correct / total).mean(axis=-1))
    return (100 * precision * np.exp(np.minimum(0, 1 - wanted / length)))[..., None]


def sst2_f1() -> Population:
    """F1 of "positive", said by five classifiers of the 1,821 test sentences of SST-2."""
    train, test = (_rows(public(f"sst2/{name}.tsv"), "\t") for name in ("train", "test"))
    return Population("F1, SST-2", _statistics(train, test)[:, :, 1], f1)


def banking_macro_f1() -> Population:
    """Macro F1 over the 77 intents of banking77, said by five classifiers of its 3,080 test questions."""
    train, test = (_rows(public(f"banking77/{name}.csv"), ",")[1:] for name in ("train", "test"))
    found = _statistics(train, test)
    return Population("macro F1, banking77", found.reshape(*found.shape[:2], -1), macro_f1)


def f1(sums: np.ndarray) -> np.ndarray:
    """Of right positives, positives and those that were said to be."""
    with np.errstate(invalid="ignore"):
        return (200 * sums[..., 0] / (sums[..., 1] + sums[..., 2]))[..., None]


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """The mean F1 of classes that occur, in truth or in what was said."""
    right, occurring = sums[..., 0::3], sums[..., 1::3] + sums[..., 2::3]
    each = np.divide(200 * right, occurring, out=np.zeros_like(right), where=occurring > 0)
    return (each.sum(axis=-1) / np.maximum(1, (occurring > 0).sum(axis=-1)))[..., None]


def _statistics(train: list[list[str]], test: list[list[str]]) -> np.ndarray:
    """[test rows, classifiers, classes, 3], for (text, label) rows: right, true and said, by class."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import ComplementNB, MultinomialNB
    from sklearn.svm import LinearSVC

    classes, truth = np.unique([label for _, label in test], return_inverse=True)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2)
    features = vectorizer.fit_transform([text for text, _ in train])
    labels, unseen = [label for _, label in train], vectorizer.transform([text for text, _ in test])
    classifiers = (
        LogisticRegression(max_iter=200),
        LogisticRegression(C=0.05),
        MultinomialNB(),
        ComplementNB(),
        LinearSVC(),
    )
    found = np.zeros((len(test), len(classifiers), len(classes), 3))
    rows = np.arange(len(test))
    for place, classifier in enumerate(classifiers):
        said = np.searchsorted(classes, classifier.fit(features, labels).predict(unseen))
        found[rows, place, truth, 1] = found[rows, place, said, 2] = 1
        found[rows, place, truth, 0] = said == truth
    return found


def _outputs(path: Path) -> dict[str, str]:
    """A system's texts, by input."""
    with gzip.open(path, "rt", encoding="utf-8-sig") as file:
        mark = "'" if path.name.startswith("tnt") else '"'
        return {row[0].strip(): row[1].strip() for row in csv.reader(file, delimiter="\t", quotechar=mark) if row}


def _rows(path: Path, delimiter: str) -> list[list[str]]:
    text = io.StringIO(path.read_text(encoding="utf-8"), newline="")
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    return [row for row in csv.reader(text, delimiter=delimiter, quoting=quoting) if row]
