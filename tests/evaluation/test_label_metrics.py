"""Labels, entities, relations, clusters, certainty and programs, against other programs' figures and by hand."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, confusion_matrix, f1_score, normalized_mutual_info_score

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Judged, Metric
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.metrics.f1 import F1
from textwright.evaluation.metrics.pass_at_k import pass_at_k


def figures_of(metric: Metric, examples: Sequence[Judged]) -> dict[str, float]:
    values = metric.values(metric.measure(examples).sum(axis=0))
    return {figure.name: float(value) for figure, value in zip(metric.figures, values, strict=True)}


def labelled(said: Sequence[object], wanted: Sequence[object]) -> list[Judged]:
    return [Judged(str(one), (str(other),)) for one, other in zip(said, wanted, strict=True)]


def test_accuracy_is_to_the_letter_but_for_white_space_around() -> None:
    examples = [Judged(" yes\n", ("no", "yes")), Judged("Yes", ("yes",)), Judged("no", ("no",)), Judged("", ("no",))]
    assert figures_of(find_metric("accuracy"), examples) == {"accuracy": 0.5}


@pytest.mark.parametrize("seed", range(5))
def test_f1_and_the_confusion_matrix_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wanted = rng.integers(0, 5, 60)
    said = np.where(rng.random(60) < 0.6, wanted, rng.integers(0, 8, 60))  # some of them no label of any reference
    examples, labels = labelled(said, wanted), sorted({str(one) for one in wanted})
    found = figures_of(find_metric("f1"), examples)
    for average in ("macro", "micro"):
        theirs = f1_score(wanted.astype(str), said.astype(str), labels=labels, average=average)
        assert found[f"f1_{average}"] == pytest.approx(theirs, rel=1e-12)
    confusion = F1().confusion(examples)
    assert list(confusion.labels) == labels
    theirs = confusion_matrix(wanted.astype(str), said.astype(str), labels=labels)
    np.testing.assert_array_equal(confusion.counts[:, :-1], theirs)
    assert confusion.counts.sum() == 60


def test_what_is_no_label_is_wrong_and_no_label_of_its_own() -> None:
    # However many other things a model writes, two labels of three are known here, and the mean is over three.
    examples = labelled(["a", "b", "nonsense", "rubbish"], ["a", "b", "c", "c"])
    assert figures_of(F1(), examples)["f1_macro"] == pytest.approx(2 / 3)


def test_a_reference_that_is_none_of_the_given_labels_is_refused_by_its_place() -> None:
    with pytest.raises(InputError, match="'c'; in example 3; expected one of a, b"):
        F1(["a", "b"]).measure(labelled(["a", "b", "c"], ["a", "b", "c"]))


def test_entities_are_right_in_all_their_parts() -> None:
    def example(found: list[list[str | int]], wanted: list[list[str | int]]) -> Judged:
        return Judged("", details={"entities": found, "gold_entities": wanted})

    examples = [
        example([["person", "Ann"], ["place", "Rome"]], [["person", "Ann"], ["person", "Rome"]]),
        example([["person", "Ann"]], [["person", "Ann"], ["person", "Ann"]]),
        example([["person", 0, 2], ["place", 4, 5]], [["person", 0, 3], ["place", 4, 5]]),
        example([], []),
    ]
    found = figures_of(find_metric("entity_f1"), examples)
    assert found == pytest.approx({"entity_f1": 6 / 11, "entity_precision": 3 / 5, "entity_recall": 3 / 6})
    assert math.isnan(figures_of(find_metric("entity_f1"), examples[-1:])["entity_f1"])


def test_relations_are_judged_as_semevals_scorer_does(data_folder: Callable[[str], Path]) -> None:
    folder = data_folder("semeval2010-task8")
    key, said = (
        dict(line.split("\t") for line in (folder / name).read_text().splitlines())
        for name in ("answer_key2.txt", "proposed_answer2.txt")
    )
    # 53 were skipped; what is no label counts as skipped too.
    examples = [Judged(said.get(number, "I do not know"), (label,)) for number, label in key.items()]
    found = figures_of(find_metric("relation_f1"), examples)
    text = (folder / "result_scores2.txt").read_text()
    assert f"macro-averaged F1 = {100 * found['relation_f1']:.2f}%" in text.splitlines()[-1]
    official = text.partition("OFFICIAL")[2]
    assert f"438/6590 =   6.65%     F1 = {100 * found['relation_f1_micro']:6.2f}%" in official


def test_a_relation_that_nobody_has_is_refused_by_its_place() -> None:
    with pytest.raises(InputError, match=r"'Cause-Effect' is no relation; in example 1"):
        find_metric("relation_f1").measure([Judged("Other", ("Cause-Effect",))])


def test_calibration_error_is_the_mean_gap_over_bins() -> None:
    def example(label: str, certainty: float) -> Judged:
        return Judged(label, ("a",), details={"probabilities": {"a": certainty, "b": certainty}})

    # One bin: sure to 0.9, right in half; another: sure to 0.5, always right.
    examples = [example("a", 0.9), example("b", 0.9), example("a", 0.5), example("a", 0.5)]
    assert figures_of(find_metric("calibration_error"), examples)["calibration_error"] == pytest.approx(0.45)
    sure = [example("a", 1.0), example("b", 0.0)]
    assert figures_of(find_metric("calibration_error"), sure)["calibration_error"] == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("num_clusters", "num_classes"), [(4, 3), (1, 3), (3, 1), (1, 1), (40, 40)])
def test_clusters_are_judged_as_scikit_learn_does(seed: int, num_clusters: int, num_classes: int) -> None:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, num_classes, 40)
    clusters = np.where(rng.random(40) < 0.5, classes, rng.integers(0, num_clusters, 40))
    examples = [
        Judged("", (str(one),), details={"cluster": int(other)}) for one, other in zip(classes, clusters, strict=True)
    ]
    found = figures_of(find_metric("clustering"), examples)
    assert found["adjusted_rand_index"] == pytest.approx(adjusted_rand_score(classes, clusters), abs=1e-12)
    theirs = normalized_mutual_info_score(classes, clusters)
    assert found["normalised_mutual_information"] == pytest.approx(theirs, abs=1e-12)


def test_pass_at_k_counts_the_draws_of_which_one_passes() -> None:
    for num_tried in range(1, 12):
        for num_passed in range(num_tried + 1):
            for k in range(1, num_tried + 1):
                failing = math.comb(num_tried - num_passed, k) / math.comb(num_tried, k)
                assert pass_at_k(num_tried, num_passed, k) == pytest.approx(1 - failing, abs=1e-12)


def test_pass_at_k_has_no_meaning_with_fewer_programs() -> None:
    ten, three = [True] + [False] * 9, [False, True, True]
    examples = [Judged("", details={"passed": passed}) for passed in (ten, three)]
    both = figures_of(find_metric("pass@k"), examples)
    assert both["pass@1"] == pytest.approx((1 / 10 + 2 / 3) / 2)
    assert math.isnan(both["pass@10"])
    assert figures_of(find_metric("pass@k"), examples[:1])["pass@10"] == 1
