"""A linear classifier of vectors: logistic regression, its regularisation chosen by cross-validation.

::

    vectors ──standardised──> folds ──loss of what each leaves out──> C ──> weight, bias ──softmax──> probabilities
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.words import counted

NUM_FOLDS = 5
REGULARISATIONS = tuple(10.0**power for power in range(-5, 3))
"""What is tried: scikit-learn's C, the inverse of the penalty's weight."""
MAX_ITERATIONS = 1000
HELD_OUT_OF = 10
LEAST_PROBABILITY = 1e-12
"""Of a label that a fold has no text of."""


@dataclass(frozen=True)
class LinearClassifier:
    """What gives each label's probability, from a vector."""

    labels: tuple[str, ...]
    weight: Float[np.ndarray, "labels width"]
    bias: Float[np.ndarray, " labels"]
    mean: Float[np.ndarray, " width"]
    """Taken off vectors."""
    scale: Float[np.ndarray, " width"]
    """What they are divided by then."""

    def probabilities(self, vectors: Float[np.ndarray, "texts width"]) -> Float[np.ndarray, "texts labels"]:
        """Of each label, for each vector; float64."""
        standard = (vectors.astype(np.float64) - self.mean) / self.scale
        scores = standard @ self.weight.T.astype(np.float64) + self.bias
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        found: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
        return found


@dataclass(frozen=True)
class FittedClassifier:
    """A classifier, and how it came about."""

    classifier: LinearClassifier
    regularisation: float
    """The C that was chosen."""


def fit_classifier(
    vectors: Float[np.ndarray, "texts width"],
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda _done: None,
) -> FittedClassifier:
    """Fit a classifier.

    Args:
        vectors: of the texts.
        texts: copies of one are never on both sides of a fold.
        labels: of each text.
        seed: of the folds.
        progress: called with the number of fits done so far, of ``NUM_FITS``.

    Raises:
        InputError: fewer than two labels.
    """
    names = check_labels(labels)
    wide = vectors.astype(np.float64)
    mean, scale = wide.mean(axis=0), wide.std(axis=0)
    scale[scale == 0] = 1.0
    standard, places = (wide - mean) / scale, np.array([names.index(label) for label in labels])
    losses = _losses(standard, places, _folds(texts, labels, seed), progress)
    chosen = REGULARISATIONS[int(np.argmin(losses))] if losses.any() else 1.0
    (fitted,) = _fit(standard, places, [chosen])
    progress(NUM_FITS)
    weight, bias = _of_all_labels(fitted, len(names))
    arrays = (one.astype(np.float32) for one in (weight, bias, mean, scale))
    return FittedClassifier(LinearClassifier(names, *arrays), chosen)


def check_labels(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels of texts, in order.

    Raises:
        InputError: fewer than two.
    """
    names = tuple(sorted(set(labels)))
    if len(names) < 2:
        what = f"texts of the label {names[0]!r} alone" if names else "no text"
        raise InputError(what, expected="texts of two labels or more")
    return names


NUM_FITS = NUM_FOLDS * len(REGULARISATIONS) + 1


def held_out_places(texts: Sequence[str], labels: Sequence[str]) -> list[int]:
    """The places of a tenth of the texts, chosen by their hashes: copies of one together, and no label's last text.

    Raises:
        InputError: none can be.
    """
    copies, left = dict[str, list[int]](), dict[str, int]()
    for place, (text, label) in enumerate(zip(texts, labels, strict=True)):
        copies.setdefault(text, []).append(place)
        left[label] = left.get(label, 0) + 1
    chosen = list[int]()
    for text in sorted(copies, key=lambda one: hash_u64("held out", one)):
        if len(chosen) * HELD_OUT_OF >= len(texts):
            break
        of_text = [labels[place] for place in copies[text]]
        if all(left[label] > of_text.count(label) for label in of_text):
            chosen += copies[text]
            for label in of_text:
                left[label] -= 1
    if not chosen:
        raise InputError(
            f"{counted(len(texts), 'text')}, of which none can be held out",
            expected="a label with two different texts",
            fix="give more, or others to judge by with --val-data",
        )
    return sorted(chosen)


def _folds(texts: Sequence[str], labels: Sequence[str], seed: int) -> Int[np.ndarray, " texts"]:
    """The fold of each text: each label's are dealt out in turn, in an order by chance, copies of one together."""
    label_of = dict(zip(texts, labels, strict=True))
    fold_of, dealt = dict[str, int](), dict[str, int]()
    for text in sorted(label_of, key=lambda one: hash_u64("fold", seed, one)):
        turn = dealt.get(label_of[text], 0)
        fold_of[text] = turn % NUM_FOLDS
        dealt[label_of[text]] = turn + 1
    return np.array([fold_of[text] for text in texts])


def _losses(
    standard: Float[np.ndarray, "texts width"],
    places: Int[np.ndarray, " texts"],
    folds: Int[np.ndarray, " texts"],
    progress: Callable[[int], None],
) -> Float[np.ndarray, " regularisations"]:
    """The cross-entropy of what each fold leaves out, for each regularisation; zeros where no fold can be left out."""
    losses = np.zeros(len(REGULARISATIONS))
    for fold in range(NUM_FOLDS):
        is_out = folds == fold
        if not is_out.any() or len(np.unique(places[~is_out])) < 2:
            continue
        for number, fitted in enumerate(_fit(standard[~is_out], places[~is_out], REGULARISATIONS)):
            found = np.full((int(is_out.sum()), int(places.max()) + 1), LEAST_PROBABILITY)
            found[:, fitted.classes_] = fitted.predict_proba(standard[is_out])
            right = found[np.arange(len(found)), places[is_out]]
            losses[number] -= np.log(np.maximum(right, LEAST_PROBABILITY)).sum()
            progress(fold * len(REGULARISATIONS) + number + 1)
    return losses


def _fit(standard: np.ndarray, places: np.ndarray, regularisations: Sequence[float]) -> Any:
    """scikit-learn's model for each regularisation, each begun where the one before ended; it is one object."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)
    for one in regularisations:
        model.set_params(C=one)
        with warnings.catch_warnings():
            # Of labels that can be told apart without fault, weights grow for ever where little holds them back.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(standard, places)
        yield model


def _of_all_labels(model: Any, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases with a row for each label; of two labels scikit-learn has the second's row alone."""
    weight, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if num_labels == 2:
        return np.concatenate([np.zeros_like(weight), weight]), np.concatenate([np.zeros_like(bias), bias])
    return weight, bias
