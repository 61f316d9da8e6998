"""A classifier and clusters are kept in folders, and say what files of predictions hold."""

from pathlib import Path

import numpy as np
import pytest

from textwright.api.classifier import Classifier, load_classifier, train_classifier
from textwright.api.clusters import Clusters, cluster_texts, load_clusters
from textwright.api.made_of_vectors import MadeOfVectors
from textwright.api.model import Model
from textwright.api.texts_to_vectors import apply_made
from textwright.core.errors import InputError
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tasks.labelled_texts import LabelledText, LabelledTexts
from textwright.tokens import make_tokenizer

TEXTS = ["aa aa", "aa ab", "11 12", "12 12"]


def model_of(seed: int) -> Model:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    return Model(build(preset("nano", vocab_size=tokenizer.vocab_size), seed=seed).eval(), tokenizer)


@pytest.fixture(scope="module")
def model() -> Model:
    return model_of(2)


@pytest.fixture(scope="module")
def classifier(model: Model) -> Classifier:
    return train_classifier(model, TEXTS, ["letters", "letters", "digits", "digits"])


@pytest.fixture(scope="module")
def clusters(model: Model) -> Clusters:
    return cluster_texts(model, TEXTS, 2)


def test_what_is_read_says_the_same(model: Model, classifier: Classifier, clusters: Clusters, tmp_path: Path) -> None:
    classifier.save(tmp_path / "classifier")
    clusters.save(tmp_path / "clusters")
    again = load_classifier(tmp_path / "classifier", model)
    assert again.classify(TEXTS) == classifier.classify(TEXTS)
    assert again.fitted.regularisation == classifier.fitted.regularisation
    others = load_clusters(tmp_path / "clusters", model)
    assert others.assign(TEXTS) == clusters.assign(TEXTS)
    assert others.found.silhouettes == clusters.found.silhouettes


def test_rows_hold_what_metrics_ask_for(model: Model, classifier: Classifier, clusters: Clusters) -> None:
    texts = [LabelledText(TEXTS[0], "letters", "a:1"), LabelledText(TEXTS[3], None, "a:2")]
    vectors = model.embed([one.text for one in texts]).numpy()
    first, second = classifier.rows(texts, vectors)
    known = {"id": "a:1", "prompt": TEXTS[0], "source": TEXTS[0], "references": ["letters"]}
    assert first == known | {"prediction": "letters", "probabilities": first["probabilities"]}
    assert "references" not in second
    said = clusters.rows(texts, vectors)
    assert [(row["prediction"], row["cluster"]) for row in said] == [
        (str(number), number) for number in clusters.assign([one.text for one in texts])
    ]


@pytest.mark.parametrize("kind", [Classifier, Clusters])
def test_another_model_is_refused_and_one_whose_place_is_not_known_is_asked_for(
    kind: type[MadeOfVectors], classifier: Classifier, clusters: Clusters, tmp_path: Path
) -> None:
    made = classifier if kind is Classifier else clusters
    made.save(tmp_path / "made")
    with pytest.raises(InputError, match="a model of the hash"):
        kind.read(tmp_path / "made", lambda _fitted: model_of(5))
    texts = LabelledTexts([LabelledText("aa", None, "text:1")], {})
    with pytest.raises(InputError, match="made does not say where its model is; name it with --model"):
        apply_made(kind, tmp_path / "made", texts)
    made.model.save(tmp_path / "model")
    (row,) = apply_made(kind, tmp_path / "made", texts, model=str(tmp_path / "model"), out=tmp_path / "said.jsonl")
    assert row == made.rows(texts.texts, np.asarray(made.model.embed(["aa"])))[0]
    assert (tmp_path / "said.jsonl").read_text().count("\n") == 1
