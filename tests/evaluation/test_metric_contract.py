"""What holds for every row of the table of metrics, so that a new one is tested before its author writes a line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Judged, Metric
from textwright.evaluation.metrics.catalog import METRICS, find_metric
from textwright.evaluation.ngram_index import NgramIndex

TRAINING_TEXT = "the cat sat on the mat and looked at the dog that slept beside the warm stove all day long"
LABELS = ("Cause-Effect(e1,e2)", "Cause-Effect(e2,e1)", "Message-Topic(e1,e2)", "Other")


def letters_are_alike(texts: Sequence[str]) -> list[list[float]]:
    """A model to which a word is as likely as it is short, and likelier after a shorter one."""
    return [[-0.1 * len(word) * (1 + place) for place, word in enumerate(text.split())] for text in texts]


SETTINGS: dict[str, dict[str, Any]] = {
    "copy_rate": {"index": NgramIndex([TRAINING_TEXT], n=3)},
    "fluency": {"scorer": letters_are_alike},
    "coherence": {"scorer": letters_are_alike},
    # Without labels, there are as many statistics as labels in what is measured together.
    "f1": {"labels": LABELS},
}

TEXTS = [
    Judged("the cat sat on the mat .", ("the cat sat on the mat .", "a cat was sitting on the mat .")),
    Judged("A dog! It slept beside the stove. It slept.", ("The dog slept beside the warm stove.",)),
    Judged("", ("a reference that nobody met",)),
    Judged("我喜欢猫。你呢？", ("我喜欢狗。你呢？",)),
    Judged("ein Café für Katzen, 3,5 Meter", ("das Café der Katzen, 3.5 Meter", "Ein Café für Katzen.")),
    Judged("the the the the the the the the", ("the cat sat down",)),
    Judged("猫が好きです", ("犬が好きです",)),
    Judged("кошка сидела на коврике", ("кошка сидит на коврике у печи",)),
    Judged("something", ("",)),
]
LABELLED = [Judged(said, (wanted,)) for said in (*LABELS, "no label", "") for wanted in LABELS]


def examples_for(name: str) -> list[Judged]:
    """Examples with all that any metric asks for; labels where texts cannot be judged."""
    texts = LABELLED if name in ("f1", "relation_f1", "calibration_error", "clustering") else TEXTS
    return [
        replace(
            text,
            source=text.references[0],
            details={
                "entities": [["person", "Ann"], ["place", text.prediction[:3]]][: place % 3],
                "gold_entities": [["person", "Ann"], ["place", text.references[0][:3]]][: (place + 1) % 3],
                "probabilities": {text.prediction: (place % 7) / 6},
                "cluster": place % 3,
                "passed": [place % 2 == 0, *[place % 5 == 0] * (9 + place % 3)],
                "logprob": -1.5 * place,
                "num_tokens": 1 + place,
            },
        )
        for place, text in enumerate(texts)
    ]


@pytest.fixture(params=sorted(METRICS))
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def metric(name: str) -> Metric:
    found: Metric = METRICS.load(name)(**SETTINGS.get(name, {}))
    return found


@pytest.fixture
def examples(name: str) -> list[Judged]:
    return examples_for(name)


def figures_of(metric: Metric, examples: Sequence[Judged]) -> np.ndarray:
    return metric.values(metric.measure(examples).sum(axis=0))


def test_it_says_what_it_is(metric: Metric) -> None:
    assert metric.source
    assert metric.signature
    assert "\n" not in metric.signature
    assert bool(metric.reason) != metric.is_additive
    for figure in metric.figures:
        assert figure.low < figure.high


def test_no_two_figures_have_one_name() -> None:
    names = [figure.name for row in METRICS for figure in METRICS.load(row).figures]
    assert len(set(names)) == len(names)


def test_values_are_within_their_range_or_say_why_they_have_none(metric: Metric, examples: list[Judged]) -> None:
    sets = [examples, *([example] for example in examples)]
    for some in sets:
        for figure, value in zip(metric.figures, figures_of(metric, some), strict=True):
            assert figure.low <= value <= figure.high or (np.isnan(value) and figure.undefined), (figure, value, some)


def test_what_is_as_it_should_be_is_the_best(name: str, metric: Metric) -> None:
    if not (metric.needs_references or "gold_entities" in metric.needs):
        pytest.skip("it does not compare predictions with anything")
    identical = [
        replace(
            one,
            prediction=one.references[0],
            details=one.details
            | {
                "entities": one.details["gold_entities"],
                "probabilities": {one.references[0]: 1.0},
                "cluster": one.references[0],
            },
        )
        for one in examples_for(name)
        if one.references[0]
    ]
    for column, figure in enumerate(metric.figures):
        values = [figures_of(metric, [one])[column] for one in identical]
        known = [value for value in values if not (np.isnan(value) and figure.undefined)]
        if figure.higher_is_better is not None:
            assert known == pytest.approx([figure.high if figure.higher_is_better else figure.low] * len(known)), figure
            assert known


def test_statistics_of_a_part_are_rows_of_the_whole(metric: Metric, examples: list[Judged]) -> None:
    rows = metric.measure(examples)
    assert rows.shape[0] == len(examples)
    assert rows.dtype == np.float64
    if metric.is_additive:
        np.testing.assert_array_equal(metric.measure(examples[2:6]), rows[2:6])


def test_order_does_not_matter(metric: Metric, examples: list[Judged]) -> None:
    np.testing.assert_allclose(figures_of(metric, examples[::-1]), figures_of(metric, examples), rtol=1e-12)


def test_figures_of_many_sets_at_once_are_those_of_each(metric: Metric, examples: list[Judged]) -> None:
    rows = metric.measure(examples)
    sums = np.stack([rows[start:].sum(axis=0) for start in range(6)])
    together = metric.values(sums.reshape(2, 3, -1))
    assert together.shape == (2, 3, len(metric.figures))
    np.testing.assert_allclose(together.reshape(6, -1), np.stack([metric.values(one) for one in sums]), rtol=1e-12)


def test_nothing_to_judge_is_refused(metric: Metric) -> None:
    with pytest.raises(InputError, match="nothing to judge"):
        metric.measure([])


def test_what_an_example_lacks_is_refused_by_its_place(metric: Metric, examples: list[Judged]) -> None:
    if metric.needs_references:
        with pytest.raises(InputError, match="no reference; in example 2"):
            metric.measure([examples[0], replace(examples[1], references=())])
    for needed in metric.needs:
        details = {name: value for name, value in examples[2].details.items() if name != needed}
        with pytest.raises(InputError, match=f"no '{needed}'; in example 3"):
            metric.measure([*examples[:2], replace(examples[2], details=details)])


@pytest.mark.parametrize(
    ("row", "detail", "value"),
    [
        ("entity_f1", "entities", "Ann"),
        ("entity_f1", "entities", [["person", "Ann"], [0, 3, "person"]]),
        ("entity_f1", "gold_entities", [["person"]]),
        ("calibration_error", "probabilities", [0.5]),
        ("calibration_error", "probabilities", {"another label": 0.5}),
        ("calibration_error", "probabilities", {LABELS[0]: 1.5}),
        ("clustering", "cluster", 1.5),
        ("pass@k", "passed", []),
        ("pass@k", "passed", [1, 0]),
        ("perplexity", "logprob", 0.5),
        ("perplexity", "logprob", float("nan")),
        ("perplexity", "logprob", -(10**400)),
        ("perplexity", "num_tokens", 0),
        ("perplexity", "num_tokens", 10**400),
    ],
)
def test_a_detail_of_another_kind_is_refused_by_its_place(row: str, detail: str, value: object) -> None:
    examples = examples_for(row)[:2]
    wrong = replace(examples[0], details=examples[0].details | {detail: value})
    with pytest.raises(InputError, match="example 3"):
        METRICS.load(row)().measure([*examples, wrong])


@pytest.mark.parametrize("row", ["copy_rate", "fluency", "coherence"])
def test_what_needs_more_than_the_predictions_says_so(row: str) -> None:
    with pytest.raises(InputError, match=f"the metric {row} alone; expected it with .*; write {row}=PATH"):
        find_metric(row)


def test_a_file_for_a_metric_that_takes_none_is_refused() -> None:
    with pytest.raises(InputError, match="the file x.txt for a metric that takes none"):
        find_metric("bleu=x.txt")
    with pytest.raises(InputError, match="unknown metric 'blue'"):
        find_metric("blue=x.txt")


def test_copies_are_of_a_file_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(" ".join(f"word{number}" for number in range(30)))
    said = Judged(" ".join(f"word{number}" for number in range(5, 20)))
    for path in (tmp_path, tmp_path / "one.txt"):
        metric = find_metric(f"copy_rate={path}")
        assert metric.values(metric.measure([said]).sum(axis=0)).tolist() == [1.0, 15.0]
    with pytest.raises(InputError, match="missing"):
        find_metric(f"copy_rate={tmp_path / 'missing'}")
