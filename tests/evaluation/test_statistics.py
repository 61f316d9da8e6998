"""Intervals hold the truth as often as they say, and tests find what is there and no more, by oracles and by hand."""

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.evaluation.small_metrics import BLEU
from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.statistics import resampling
from textwright.evaluation.statistics.intervals import bootstrap_interval
from textwright.evaluation.statistics.paired import compare_paired, holm
from textwright.evaluation.statistics.resampling import (
    bootstrap_values,
    clusters_of,
    left_out_values,
    sums_of_units,
    swapped_differences,
)
from textwright.evaluation.statistics.seeds import compare_over_seeds, interval_over_seeds
from textwright.evaluation.statistics.verdict import describe, examples_needed, verdict_of

RNG = np.random.default_rng(20)
STATISTICS = RNG.integers(0, 9, (37, 2)) + np.array([0.0, 1.0])


def ratio(sums: np.ndarray) -> np.ndarray:
    return sums[..., :1] / sums[..., 1:2]


def test_resamples_are_those_of_a_loop_over_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(5).integers(0, 37, (50, 37))
    slow = np.array([ratio(STATISTICS[places].sum(axis=0)) for places in drawn])
    np.testing.assert_allclose(bootstrap_values(STATISTICS, ratio, 50, seed=5), slow)
    monkeypatch.setattr(resampling, "NUMBERS_AT_ONCE", 37 * 7)
    assert bootstrap_values(STATISTICS, ratio, 50, seed=5).shape == (50, 1)
    left_out = [ratio(np.delete(STATISTICS, place, axis=0).sum(axis=0)) for place in range(37)]
    np.testing.assert_allclose(left_out_values(STATISTICS, ratio), left_out)


def test_sides_are_changed_unit_by_unit() -> None:
    other = STATISTICS[::-1].copy()
    coins = np.unpackbits(np.random.default_rng(3).integers(0, 256, (20, 5), dtype=np.uint8), axis=1)[:, :37]
    slow = []
    for row in coins.astype(bool)[:, :, None]:
        one, two = np.where(row, other, STATISTICS), np.where(row, STATISTICS, other)
        slow.append(ratio(two.sum(axis=0)) - ratio(one.sum(axis=0)))
    np.testing.assert_allclose(swapped_differences(STATISTICS, other, ratio, 20, seed=3), slow)


def test_examples_of_a_document_are_one_unit_and_those_of_none_are_each_one() -> None:
    clusters = clusters_of(["b", "", "a", "b", "", "a"])
    assert len({*clusters.tolist()}) == 4
    found = sums_of_units(np.arange(6.0)[:, None], clusters)
    assert sorted(found[:, 0].tolist()) == [1, 3, 4, 7]
    with pytest.raises(InputError, match="no example"):
        sums_of_units(np.zeros((0, 2)), None)


def test_an_interval_of_many_examples_is_scipys() -> None:
    skewed = np.random.default_rng(0).lognormal(size=(2000, 1))
    units = np.concatenate([skewed, np.ones_like(skewed)], axis=1)
    low, high = bootstrap_interval(units, ratio, num_resamples=9999, seed=1)
    theirs = stats.bootstrap((skewed[:, 0],), np.mean, method="BCa", rng=np.random.default_rng(2), batch=200)
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert low[0] == pytest.approx(theirs.confidence_interval.low, abs=0.04 * width)
    assert high[0] == pytest.approx(theirs.confidence_interval.high, abs=0.04 * width)


def test_an_interval_of_few_examples_is_as_wide_as_students() -> None:
    normal = np.random.default_rng(4).normal(size=(6, 1))
    units = np.concatenate([normal, np.ones_like(normal)], axis=1)
    low, high = bootstrap_interval(units, ratio, num_resamples=20_000)
    theirs = stats.t.interval(0.95, 5, normal.mean(), stats.sem(normal)[0])
    assert (high - low)[0] == pytest.approx(theirs[1] - theirs[0], rel=0.15)


@pytest.mark.parametrize("size", [1, 4])
def test_intervals_hold_the_truth_as_often_as_they_say(size: int) -> None:
    """F1 of examples of which those of a cluster are right or wrong together."""
    rng, hits, hits_of_the_careless, runs = np.random.default_rng(size), 0, 0, 400
    truth = 2 * 0.6 * 0.8 / (0.6 + 0.5)  # found: 8 of 10 positive; positive 6 of 10, said to be so 5 of 10

    def f1(sums: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return 2 * sums[..., :1] / (sums[..., 1:2] + sums[..., 2:3])

    for run in range(runs):
        clusters = np.arange(40 * size) // size
        positive, found, wrong = (np.repeat(rng.random(len(clusters) // size), size) for _ in range(3))
        is_positive = positive < 0.6
        is_found = is_positive & (found < 0.8)
        is_said = is_found | (~is_positive & (wrong < 0.05))
        statistics = np.stack([is_found, is_positive, is_said], axis=1).astype(float)
        for given in (clusters, None):
            low, high = bootstrap_interval(statistics, f1, clusters=given, num_resamples=400, seed=run)
            holds = bool(low[0] <= truth <= high[0])
            if given is None:
                hits_of_the_careless += holds
            else:
                hits += holds
    assert 0.92 <= hits / runs <= 0.98
    assert size == 1 or hits_of_the_careless / runs < 0.8


def test_a_figure_without_a_meaning_has_no_interval() -> None:
    low, high = bootstrap_interval(STATISTICS[:1], ratio)
    assert np.isnan(low).all()
    assert np.isnan(high).all()

    def half_unknown(sums: np.ndarray) -> np.ndarray:
        return np.concatenate([ratio(sums), np.full_like(sums[..., :1], np.nan)], axis=-1)

    low, high = bootstrap_interval(STATISTICS, half_unknown)
    assert low[0] < high[0]
    assert np.isnan([low[1], high[1]]).all()
    found = compare_paired(STATISTICS, STATISTICS[::-1] + 0, half_unknown, num_resamples=200)
    assert np.isnan(found.p).tolist() == [False, True]


def test_p_is_that_of_all_ways_to_change_sides() -> None:
    a, b = np.random.default_rng(6).normal(size=(2, 10, 1)) + np.array([0, 0.5])[:, None, None]
    theirs = stats.permutation_test(
        (a[:, 0], b[:, 0]), lambda x, y: np.mean(y) - np.mean(x), permutation_type="samples", n_resamples=np.inf
    )
    signs = np.array(list(itertools.product([-1, 1], repeat=10)))
    by_hand = np.mean(np.abs(signs @ (b - a)[:, 0]) >= abs((b - a).sum()) - 1e-12)
    assert theirs.pvalue == pytest.approx(by_hand)
    found = compare_paired(a, b, lambda sums: sums, num_resamples=20_000)
    assert found.p[0] == pytest.approx(by_hand, abs=4 * np.sqrt(by_hand * (1 - by_hand) / 20_000))
    assert (found.low[0] > 0 or found.high[0] < 0) == (by_hand < 0.05)


def test_a_system_does_not_differ_from_itself_and_p_is_never_0() -> None:
    for test in ("randomisation", "bootstrap"):
        same = compare_paired(STATISTICS, STATISTICS, ratio, test=test, num_resamples=500)
        assert (same.difference[0], same.p[0]) == (0, 1)
        other = compare_paired(STATISTICS, STATISTICS * [0, 1], ratio, test=test, num_resamples=500)
        assert 1 / 501 <= other.p[0] < 0.005


def test_documents_change_sides_as_a_whole() -> None:
    """Twenty copies of an example tell no more than one."""
    a, b = np.random.default_rng(7).normal(size=(2, 12, 1)) + np.array([0, 0.4])[:, None, None]
    once = compare_paired(a, b, lambda sums: sums, num_resamples=4000)
    copies = [np.repeat(one, 20, axis=0) for one in (a, b)]
    clustered = compare_paired(*copies, lambda sums: sums, clusters=np.arange(240) // 20, num_resamples=4000)
    assert clustered.p[0] == pytest.approx(once.p[0])
    assert compare_paired(*copies, lambda sums: sums, num_resamples=4000).p[0] < once.p[0] / 5


@pytest.mark.parametrize("kind", ["ar", "bs"])
def test_p_is_sacrebleus(data_folder: Callable[[str], Path], kind: str) -> None:
    from sacrebleu.metrics import BLEU as SacreBLEU  # noqa: N811
    from sacrebleu.significance import PairedTest

    folder, size, samples = data_folder("metrics-wmt17-en-de"), 300, 4000

    def read(name: str) -> list[str]:
        with gzip.open(folder / f"{name}.txt.gz", "rt", encoding="utf-8-sig") as file:
            return [line.rstrip("\n") for line in itertools.islice(file, size)]

    reference = read("reference.de")
    texts = [read(f"newstest2017.{name}.en-de") for name in ("KIT.4950", "SYSTRAN.4847")]
    test = PairedTest(
        [("a", texts[0]), ("b", texts[1])], {"BLEU": SacreBLEU(references=[reference])}, None, kind, samples
    )
    _, scores = test()
    first, second = scores["BLEU"]
    metric = BLEU()
    a, b = (
        metric.measure([Judged(text, (wanted,)) for text, wanted in zip(one, reference, strict=True)]) for one in texts
    )
    ours = compare_paired(
        a, b, metric.values, test="randomisation" if kind == "ar" else "bootstrap", num_resamples=samples
    )
    assert ours.a[0] == pytest.approx(first.score)
    assert ours.b[0] == pytest.approx(second.score)
    assert 0.01 < second.p_value < 0.99
    # Theirs, of the bootstrap, looks at one side alone: distances from 0, less their mean, beside the distance found.
    expected = second.p_value if kind == "ar" else 2 * second.p_value
    assert ours.p[0] == pytest.approx(expected, abs=0.03)


def test_holm_is_what_one_computes_by_hand() -> None:
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005])
    # In order: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1, which is not to be less than the one before.
    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(np.array([0.7, 0.9])).tolist() == [1, 1]
    assert holm(np.zeros(0)).tolist() == []


def test_seeds_widen_the_interval_as_their_variance_says() -> None:
    """Without any variance between examples, it is Student's interval of the seeds' figures, and his test."""
    figures = np.array([0.70, 0.74, 0.66, 0.71])

    def with_figure(figure: float) -> np.ndarray:
        return np.tile([figure, 1.0], (50, 1))

    system = np.array([with_figure(figure) for figure in figures])
    low, high = interval_over_seeds(system, ratio)
    expected = stats.t.interval(0.95, 3, figures.mean(), stats.sem(figures))
    np.testing.assert_allclose([low[0], high[0]], expected)
    other = np.array([with_figure(figure) for figure in figures * 0.9 + 0.01])
    found = compare_over_seeds(system, other, ratio)
    theirs = stats.ttest_ind(figures * 0.9 + 0.01, figures, equal_var=False)
    assert found.p[0] == pytest.approx(theirs.pvalue)
    np.testing.assert_allclose([found.low[0], found.high[0]], theirs.confidence_interval())
    with pytest.raises(InputError, match="one seed; expected two at least"):
        interval_over_seeds(system[:1], ratio)


def test_examples_widen_the_interval_of_seeds_that_agree() -> None:
    one = np.stack([np.random.default_rng(8).random(80) < 0.7, np.ones(80)], axis=1).astype(float)
    low, high = interval_over_seeds(np.array([one, one, one]), ratio)
    alone = bootstrap_interval(one, ratio)
    assert (high - low)[0] == pytest.approx((alone[1] - alone[0])[0], rel=0.1)
    same = compare_over_seeds(np.array([one, one]), np.array([one, one]), ratio)
    assert (same.difference[0], same.p[0]) == (0, 1)


@pytest.mark.parametrize(
    ("difference", "p", "higher_is_better", "expected"),
    [
        (0.1, 0.01, True, "better"),
        (-0.1, 0.01, True, "worse"),
        (-0.1, 0.01, False, "better"),
        (0.1, 0.01, False, "worse"),
        (0.1, 0.01, None, "higher"),
        (-0.1, 0.01, None, "lower"),
        (0.1, 0.06, True, "not_distinguishable"),
        (0.1, float("nan"), True, None),
    ],
)
def test_a_verdict_goes_by_what_is_better(
    difference: float, p: float, higher_is_better: bool | None, expected: str | None
) -> None:
    assert verdict_of(difference, p, higher_is_better) == expected


def test_so_many_examples_tell_a_difference_in_four_of_five_trials() -> None:
    """The size that is said, tried out: a mean of 0.3 beside a deviation of 1."""
    size = examples_needed(0.3, 1 / np.sqrt(20), 20)
    assert size == 88  # ((1.960 + 0.842) / 0.3)^2
    rng, found = np.random.default_rng(9), []
    for seed in range(300):
        drawn = rng.normal(0.3, 1, (size, 1))
        found.append(compare_paired(drawn * 0, drawn, lambda sums: sums, num_resamples=300, seed=seed).p[0] <= 0.05)
    assert 0.73 <= np.mean(found) <= 0.87
    assert examples_needed(0.3, 1 / np.sqrt(20), 20, num_tests=5) == 130
    # Five that agree change sides in 32 ways, two of which are as far apart: p is 1/16 at best.
    assert examples_needed(9.0, 0.001, 5) == 6
    assert examples_needed(9.0, 0.001, 50, num_units=5) == 54
    assert examples_needed(0.0, 1.0, 20) is None
    assert examples_needed(0.1, float("nan"), 20) is None


def test_the_words_of_a_verdict() -> None:
    assert describe("better", 30) == "B is better"
    assert describe("lower", 30) == "B is lower"
    assert describe("not_distinguishable", 1234) == "not distinguishable at this size; about 1,300 examples would tell"
    assert describe("not_distinguishable", None) == "not distinguishable at this size"
    assert describe(None, None) == "not judged"
