"""ROUGE is rouge-score's to the last printed digit, and sees what rouge-score does not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer

from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.metrics.rouge import KINDS


def figures_of(*examples: Judged) -> dict[str, float]:
    metric = find_metric("rouge")
    values = metric.values(metric.measure(examples).sum(axis=0))
    return {figure.name: float(value) for figure, value in zip(metric.figures, values, strict=True)}


def test_three_hundred_pairs_are_as_rouge_score_has_them(data_folder: Callable[[str], Path]) -> None:
    lines = (data_folder("metrics-rouge") / "rouge_score_pairs.jsonl").read_text(encoding="utf-8").split("\n")
    pairs = [json.loads(line) for line in lines if line]
    assert len(pairs) == 300
    metric = find_metric("rouge")
    rows = metric.values(metric.measure([Judged(pair["prediction"], (pair["target"],)) for pair in pairs]))
    for pair, row in zip(pairs, rows, strict=True):
        found = dict(zip((figure.name for figure in metric.figures), map(float, row), strict=True))
        for kind, theirs in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
            ours = [round(found[name], 6) for name in (f"{kind}_precision", f"{kind}_recall", kind)]
            assert ours == pair["plain"][theirs], pair


def test_of_several_references_the_best_counts_for_each_kind() -> None:
    said, references = "a cat sat on the mat", ("the mat sat on a cat there", "on the mat a cat sat")
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
    found = figures_of(Judged(said, references))
    for kind, their_kind in zip(KINDS, theirs.rouge_types, strict=True):
        best = max(theirs.score(reference, said)[their_kind].fmeasure for reference in references)
        assert found[kind] == pytest.approx(best, rel=1e-12)


def test_lsum_takes_lines_for_sentences() -> None:
    said, wanted = "a dog slept\nthe cat sat", "the cat sat\na dog slept"
    found = figures_of(Judged(said, (wanted,)))
    assert found["rouge_lsum"] == 1
    assert found["rouge_l"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("said", "wanted", "rouge_1", "rouge_2", "rouge_l"),
    [
        ("", "", 0, 0, 0),
        ("", "cat", 0, 0, 0),
        ("cat", "", 0, 0, 0),
        ("cat", "cat", 1, 0, 1),
        ("the cat sat", "the cat sat", 1, 1, 1),
        ("你好世界", "你好世界", 1, 1, 1),
        ("我喜欢猫", "我喜欢狗", 3 / 4, 2 / 3, 3 / 4),
        # rouge-score sees GPT and 2 alone, and finds all of them.
        ("我用GPT-2模型", "他说GPT-2很好", 1 / 3, 1 / 5, 1 / 3),
        ("我用GPT-2模型", "GPT-2", 1 / 2, 1 / 3, 1 / 2),
        ("кошка сидит", "кошка спит", 1 / 2, 0, 1 / 2),
        ("हिन्दी भाषा", "हिन्दी बोली", 1 / 2, 0, 1 / 2),
    ],
)
def test_one_pair(said: str, wanted: str, rouge_1: float, rouge_2: float, rouge_l: float) -> None:
    found = figures_of(Judged(said, (wanted,)))
    assert [found[kind] for kind in KINDS[:3]] == pytest.approx([rouge_1, rouge_2, rouge_l])


def test_latin_text_with_accents_stays_rouge_scores() -> None:
    # Its "caf" is no word of ours; published figures are made so.
    theirs = RougeScorer(["rouge1"]).score("das Café", "ein Caf am See")["rouge1"].fmeasure
    assert figures_of(Judged("ein Caf am See", ("das Café",)))["rouge_1"] == pytest.approx(theirs)
    assert theirs > 0
