"""METEOR's own program gives the same scores: those it gave of 2,500 texts, and live where Java is there.

Its lists of words come from its jar, which the package pycocoevalcap brings.
"""

import json
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks.meteor_jar import Jar, long_segments, short_segments
from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.metrics.meteor import Meteor, MeteorOwnWords, MeteorSynonyms
from textwright.evaluation.metrics.meteor.word_lists import WordLists

KEPT = Path(__file__).parents[1] / "fixtures" / "meteor.json"
ODD = (
    "The U.S.-based firm's well-known 'e.g.' -- isn't it?... No. 5, No. Never; Mr. X said: “3,000.50!”",
    "I.B.M. and a-b-c, a,,b 1,a a,1 ''quoted'' rock'n'roll 1990's dogs' 'tis ... wait.. what. then (so) [it] {is}",
    "café cafe\u0301 你好，世界 あい 한국 Привет Δος ß İ \U0001f600 a\u00a0b a\u3000b",
)


@pytest.fixture(scope="module")
def jar() -> Path:
    """METEOR's program."""
    found = find_spec("pycocoevalcap")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("pycocoevalcap, which brings METEOR's jar, is not installed: pip install pycocoevalcap==1.2")
    return Path(found.submodule_search_locations[0]) / "meteor" / "meteor-1.5.jar"


@pytest.mark.parametrize(("kind", "segments_of"), [("short", short_segments), ("long", long_segments)])
def test_scores_are_those_that_meteors_program_gave(
    jar: Path, data_folder: Callable[[str], Path], kind: str, segments_of: Callable[[Path], list[Judged]]
) -> None:
    data = {data_folder(name).parent for name in ("e2e", "metrics-e2e", "corpus-english-novels")}.pop()
    kept, metric = json.loads(KEPT.read_text(encoding="utf-8"))[kind], Meteor(jar)
    counts = metric.measure(segments_of(data))
    np.testing.assert_allclose(metric.values(counts)[:, 0], kept["scores"], rtol=0, atol=1e-9)
    assert metric.values(counts.sum(axis=0))[0] == pytest.approx(kept["corpus"], abs=1e-9)


def test_odd_characters_are_words_as_in_meteors_program(jar: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("Java is not there")
    pieces = [piece for text in ODD for piece in re.split("(?<=[;,]) ", text)]
    segments = [Judged(text, (other,)) for text in ODD for other in (*ODD, *pieces)]
    metric = Meteor(jar)
    with Jar(jar) as program:
        scores, corpus = program.scores(segments)
    counts = metric.measure(segments)
    np.testing.assert_allclose(metric.values(counts)[:, 0], scores, rtol=0, atol=1e-9)
    assert metric.values(counts.sum(axis=0))[0] == pytest.approx(corpus, abs=1e-9)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [("cats", "cat", 0.0), ("the cats sat on mats", "the cat sat on the mat", 0.3129061775796445)],
)
def test_a_stem_that_is_a_synonym_too_could_match_in_two_ways(
    jar: Path, prediction: str, reference: str, expected: float
) -> None:
    metric = MeteorSynonyms(jar)
    assert metric.values(metric.measure([Judged(prediction, (reference,))]))[0, 0] == pytest.approx(expected, abs=1e-12)


def test_synonyms_are_those_of_meteors_program(jar: Path, data_folder: Callable[[str], Path]) -> None:
    if shutil.which("java") is None:
        pytest.skip("Java is not there")
    data = {data_folder(name).parent for name in ("e2e", "metrics-e2e")}.pop()
    segments = short_segments(data)[::20]
    for start in range(0, 100, 10):
        several = segments[start : start + 10]
        reference = " ".join(each.references[0] for each in several)
        segments.append(Judged(" ".join(each.prediction for each in several), (reference,)))
    with Jar(jar, "exact stem synonym", "1.0 0.6 0.8") as program:
        scores, corpus = program.scores(segments)
    metric = MeteorSynonyms(jar)
    counts = metric.measure(segments)
    np.testing.assert_allclose(metric.values(counts)[:, 0], scores, rtol=0, atol=1e-9)
    assert metric.values(counts.sum(axis=0))[0] == pytest.approx(corpus, abs=1e-9)


def test_without_meteors_words_the_score_is_near(jar: Path, data_folder: Callable[[str], Path]) -> None:
    data = {data_folder(name).parent for name in ("e2e", "metrics-e2e")}.pop()
    segments, metrics = short_segments(data), (Meteor(jar), MeteorOwnWords())
    theirs, ours = (metric.values(metric.measure(segments).sum(axis=0))[0] for metric in metrics)
    assert 0 < abs(theirs - ours) < 0.001


def test_published_scores_are_met_as_far_as_modules_go(jar: Path, data_folder: Callable[[str], Path]) -> None:
    folder = data_folder("metrics-nlgeval")
    published = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    metric = Meteor(jar)
    for example in published["single"]:
        found = metric.values(metric.measure([Judged(example["hyp"], tuple(example["refs"]))]))[0, 0]
        assert found == pytest.approx(example["METEOR"], abs=1e-8)
    lines = [(folder / name).read_text(encoding="utf-8").splitlines() for name in ("hyp.txt", "ref1.txt", "ref2.txt")]
    segments = [Judged(hypothesis, tuple(references)) for hypothesis, *references in zip(*lines, strict=True)]
    corpus = [each.values(each.measure(segments).sum(axis=0))[0] for each in (metric, MeteorSynonyms(jar))]
    assert corpus == pytest.approx([0.2673152202390133, 0.2825308479501601], abs=1e-9), (
        "paraphrases make 0.295797 of it"
    )
    assert published["corpus: hyp.txt against ref1.txt and ref2.txt"]["METEOR"] == 0.295797


def test_the_figure_of_meteors_words_has_meteors_name(jar: Path) -> None:
    metric = Meteor(jar)
    assert [figure.name for figure in metric.figures] == ["meteor"]
    assert "function-words:meteor-1.5" in metric.signature
    assert len(WordLists.of_file(jar).function_words) == 93
