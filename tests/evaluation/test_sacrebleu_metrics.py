"""BLEU, chrF and TER are sacrebleu's to the last printed digit, and say more where it says a bare 0."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from textwright.evaluation.metrics.base import Judged, Metric
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.predictions import read_predictions
from textwright.evaluation.score import find_metrics, score

Find = Callable[[str], Path]


def figures_of(name: str, examples: list[Judged]) -> dict[str, float]:
    return {figure: one.value for figure, one in score(examples, find_metrics(name)).items()}


@cache
def wmt17(folder: Path, system: str) -> list[Judged]:
    return [one.judged for one in read_predictions(folder / f"{system}.txt.gz", [folder / "reference.de.txt.gz"])]


def test_bleu_of_wmt17_is_what_was_published(data_folder: Find) -> None:
    folder = data_folder("metrics-wmt17-en-de")
    name = "newstest2017.online-A.0.en-de"  # its file begins with a byte order mark
    published = json.loads((folder / "scores.json").read_text())[name]["bleu_mteval-v13a"]
    assert round(figures_of("bleu", wmt17(folder, name))["bleu"], 2) == published


def test_chrf_of_wmt17_is_what_was_published(data_folder: Find) -> None:
    folder = data_folder("metrics-wmt17-en-de")
    name = "newstest2017.FBK.4870.en-de"
    published = json.loads((folder / "scores.json").read_text())[name]
    proposed, wanted, common = find_metric("chrf++").measure(wmt17(folder, name)).sum(axis=0).reshape(-1, 3).T
    # chrF++.py takes the mean of each order's F, where sacrebleu takes F of the mean precision and recall.
    by_order = 100 * 5 * common / (4 * wanted + proposed)
    assert round(float(np.mean(by_order)), 4) == published["chrf++_chrF++.py"]
    assert round(float(np.mean(by_order[:6])), 4) == published["chrf_chrF++.py_nw0"]


def test_bleu_with_several_references_is_sacrebleus(data_folder: Find) -> None:
    theirs = json.loads((data_folder("metrics-e2e") / "scores_sacrebleu.json").read_text())["systems"]["tgen"]
    examples = e2e(data_folder, "tgen")
    assert (len(examples), round(figures_of("bleu", examples)["bleu"], 4)) == (630, theirs["BLEU_13a"])


def e2e(data_folder: Find, system: str) -> list[Judged]:
    references: dict[str, list[str]] = {}
    with gzip.open(data_folder("e2e") / "testset_w_refs.csv.gz", "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            references.setdefault(row["mr"], []).append(row["ref"])
    raw = gzip.decompress((data_folder("metrics-e2e") / "primary" / f"{system}.tsv.gz").read_bytes()).decode()
    outputs = {row["MR"]: row["output"] for row in csv.DictReader(io.StringIO(raw, newline=""), delimiter="\t")}
    return [Judged(outputs[meaning], tuple(texts)) for meaning, texts in references.items()]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("bleu", BLEU()), ("chrf", CHRF()), ("chrf++", CHRF(word_order=2)), ("ter", TER())],
)
def test_sums_of_examples_are_corpus_score(data_folder: Find, name: str, theirs: BLEU | CHRF | TER) -> None:
    folder = data_folder("metrics-wmt17-en-de")
    examples = wmt17(folder, "newstest2017.xmu.4910.en-de")[:50]
    # As a second reference, what another system said of every other one.
    others = wmt17(folder, "newstest2017.KIT.4950.en-de")[:50]
    both = [
        Judged(one.prediction, (*one.references, *([other.prediction] if place % 2 else [])))
        for place, (one, other) in enumerate(zip(examples, others, strict=True))
    ]
    files = [[one.references[0] for one in both], [one.references[1] if one.references[1:] else None for one in both]]
    wanted = theirs.corpus_score([one.prediction for one in both], files)  # type: ignore[arg-type]
    found = score(both, find_metrics(name))[name]
    assert found.value == pytest.approx(wanted.score, rel=1e-12)
    assert found.signature.partition(" (")[0] == str(theirs.get_signature())


def test_bleu_1_to_3_are_sacrebleus_with_shorter_n_grams(data_folder: Find) -> None:
    examples = wmt17(data_folder("metrics-wmt17-en-de"), "newstest2017.xmu.4910.en-de")[:50]
    found = figures_of("bleu", examples)
    for n in (1, 2, 3):
        theirs = BLEU(max_ngram_order=n)
        wanted = theirs.corpus_score([one.prediction for one in examples], [[one.references[0] for one in examples]])
        assert found[f"bleu_{n}"] == pytest.approx(wanted.score, rel=1e-12)


NONE = float("nan")


@pytest.mark.parametrize(
    ("said", "wanted", "bleu", "chrf", "chrf_words", "ter"),
    [
        ("", "", 0, 0, 0, 0),
        ("", "the cat sat on it", 0, 0, 0, 100),
        ("the cat sat on it", "", 0, 0, 0, 100),
        ("cat", "cat", NONE, 100, 100, 0),
        ("the cat sat", "the cat sat", NONE, 100, 100, 0),
        ("cat", "dog", 0, 0, 0, 100),
        ("the cat sat down", "the cat sat down", 100, 100, 100, 0),
        ("你好世界", "你好世界", 100, 100, 100, 0),
        ("你好", "你好", NONE, 100, 100, 0),
        ("我喜欢猫", "我喜欢狗", 59.4604, 47.9167, 38.3333, 25),
        ("我用GPT-2模型", "我用GPT-2模型", 100, 100, 100, 0),
        ("猫が好きです", "猫が好きです", 100, 100, 100, 0),
        ("고양이가 좋아요", "고양이가 좋아요", 100, 100, 100, 0),
    ],
)
def test_one_pair(said: str, wanted: str, bleu: float, chrf: float, chrf_words: float, ter: float) -> None:
    found = figures_of("bleu,chrf,chrf++,ter", [Judged(said, (wanted,))])
    rounded = [round(found[name], 4) for name in ("bleu", "chrf", "chrf++", "ter")]
    np.testing.assert_array_equal(rounded, [bleu, chrf, chrf_words, ter])


@pytest.mark.parametrize(
    ("said", "wanted"), [("猫が好きだよ", "猫が好きだね"), ("ภาษาไทย", "ภาษาไทร"), ("고양이", "고양아")]
)
def test_ter_counts_characters_where_sacrebleu_splits_none(said: str, wanted: str) -> None:
    # One character of all is another; sacrebleu would have a word, or a run of kana, wrong as a whole.
    assert figures_of("ter", [Judged(said, (wanted,))])["ter"] == pytest.approx(100 / len(wanted))


def test_bleu_of_less_than_four_words_says_so_and_gives_the_shorter_orders() -> None:
    metric: Metric = find_metric("bleu")
    found = figures_of("bleu", [Judged("the cat", ("the cat",)), Judged("a dog", ("the dog",))])
    assert np.isnan(found["bleu"])
    assert np.isnan(found["bleu_3"])
    assert found["bleu_1"] == pytest.approx(75)
    assert "four words" in metric.figures[0].undefined


def test_chinese_and_japanese_are_split_as_the_signature_says() -> None:
    for said, wanted, tokenizer in (
        ("我们明天去北京大学图书馆看书。", "我们今天去北京大学的图书馆。", "zh"),
        ("明日は図書館へ行きます。", "今日は図書館に行きます。", "char"),
        ("The capital is called 北京, in English Beijing.", "The capital is 北京, or Beijing in English.", "13a"),
    ):
        theirs = BLEU(tokenize=tokenizer).corpus_score([said], [[wanted]])
        assert figures_of("bleu", [Judged(said, (wanted,))])["bleu"] == pytest.approx(theirs.score, rel=1e-12)
        assert f"tok:{tokenizer}" in find_metric("bleu").signature
