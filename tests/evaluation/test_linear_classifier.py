"""The linear classifier is scikit-learn's logistic regression, and nothing is judged by what was learned from."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from textwright.core.errors import InputError
from textwright.evaluation.fitted_folder import Fitted, read_fitted, write_fitted
from textwright.evaluation.linear_classifier import (
    NUM_FOLDS,
    REGULARISATIONS,
    _folds,
    fit_classifier,
    held_out_places,
)

Data = tuple[np.ndarray, list[str], list[str]]


def made(num_labels: int, *, noise: float = 2.0, number: int = 120, width: int = 6) -> Data:
    """Vectors about a place for each label, texts and labels."""
    rng = np.random.default_rng(num_labels)
    places = rng.normal(size=(num_labels, width)) * [1, 10, 0.1, 1, 1, 1]
    of = rng.integers(0, num_labels, number)
    vectors = (places[of] + noise * rng.normal(size=(number, width)) * [1, 10, 0.1, 1, 1, 1]).astype(np.float32)
    return vectors, [f"text {place}" for place in range(number)], [f"label {one}" for one in of]


@pytest.mark.parametrize("num_labels", [2, 3, 5])
def test_probabilities_are_scikit_learns(num_labels: int) -> None:
    vectors, texts, labels = made(num_labels)
    fitted = fit_classifier(vectors, texts, labels)
    theirs = LogisticRegression(C=fitted.regularisation, max_iter=1000)
    scaler = StandardScaler().fit(vectors.astype(np.float64))
    theirs.fit(scaler.transform(vectors), labels)
    order = [list(theirs.classes_).index(label) for label in fitted.classifier.labels]
    np.testing.assert_allclose(
        fitted.classifier.probabilities(vectors), theirs.predict_proba(scaler.transform(vectors))[:, order], atol=1e-3
    )


def test_the_regularisation_is_the_best_of_the_folds() -> None:
    """Against a plain loop: noise wants another one than labels that are told apart without fault."""
    vectors, texts, labels = made(3)
    standard = StandardScaler().fit_transform(vectors.astype(np.float64))
    folds, wanted = _folds(texts, labels, 0), np.array(labels)
    losses = []
    for one in REGULARISATIONS:
        loss = 0.0
        for fold in range(NUM_FOLDS):
            model = LogisticRegression(C=one, max_iter=1000).fit(standard[folds != fold], wanted[folds != fold])
            found = model.predict_proba(standard[folds == fold])
            loss += log_loss(wanted[folds == fold], found, normalize=False, labels=model.classes_)
        losses.append(loss)
    assert fit_classifier(vectors, texts, labels).regularisation == REGULARISATIONS[int(np.argmin(losses))]
    clear = fit_classifier(*made(3, noise=0.05)).regularisation
    blurred = fit_classifier(*made(3, noise=50.0)).regularisation
    assert blurred < clear


def test_copies_of_a_text_are_in_one_fold_and_on_one_side() -> None:
    _, texts, labels = made(3)
    twice, of_both = [*texts, *texts], [*labels, *labels]
    folds = _folds(twice, of_both, 0)
    assert folds[:120].tolist() == folds[120:].tolist()
    assert np.bincount(folds).min() >= 0.8 * np.bincount(folds).max()
    assert _folds(twice, of_both, 1).tolist() != folds.tolist()
    held_out = held_out_places(twice, of_both)
    assert {twice[place] for place in held_out}.isdisjoint(
        text for place, text in enumerate(twice) if place not in held_out
    )
    assert 24 <= len(held_out) <= 25


def test_no_label_loses_its_last_text() -> None:
    texts, labels = ["a", "b", "b", "c", "d"], ["x", "y", "y", "z", "z"]
    (place,) = held_out_places(texts, labels)
    assert place in (3, 4)
    with pytest.raises(InputError, match="none can be held out.*--val-data"):
        held_out_places(["a", "b"], ["x", "y"])


def test_few_texts_are_fitted_all_the_same_and_one_label_is_refused() -> None:
    vectors = np.array([[0.0, 1], [0, 1], [1, 0]], dtype=np.float32)
    fitted = fit_classifier(vectors, ["a", "b", "c"], ["x", "x", "y"])
    assert fitted.classifier.labels == ("x", "y")
    assert fitted.classifier.probabilities(vectors).argmax(axis=1).tolist() == [0, 0, 1]
    with pytest.raises(InputError, match="the label 'x' alone.*two labels or more"):
        fit_classifier(vectors, ["a", "b", "c"], ["x", "x", "x"])


def test_what_is_in_a_folder_is_what_was_written_or_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    arrays = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    write_fitted(folder, "classifier", Fitted({"labels": ["a", "b"]}, arrays), [{"id": "1", "prediction": "a"}])
    assert sorted(path.name for path in folder.iterdir()) == [
        "classifier.json",
        "classifier.safetensors",
        "predictions.jsonl",
    ]
    read = read_fitted(folder, "classifier", "a classifier")
    assert read.values["labels"] == ["a", "b"]
    np.testing.assert_array_equal(read.arrays["weight"], arrays["weight"])
    with pytest.raises(InputError, match="is there already"):
        write_fitted(folder, "classifier", read)
    with pytest.raises(InputError, match=r"no classifier\.json in .*expected the folder of a classifier"):
        read_fitted(tmp_path, "classifier", "a classifier")
    weights = folder / "classifier.safetensors"
    raw = weights.read_bytes()
    weights.write_bytes(raw[:-1] + b"\x01")
    with pytest.raises(InputError, match="other content than was written"):
        read_fitted(folder, "classifier", "a classifier")
    weights.write_bytes(raw)
    described = folder / "classifier.json"
    described.write_text(described.read_text().replace('"b"', '"c"'))
    with pytest.raises(InputError, match="it was changed after it was written"):
        read_fitted(folder, "classifier", "a classifier")
