"""METEOR gives METEOR 1.5's figures: values that its program gave for exact and stem matches, and what makes them."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from textwright.core.errors import InputError
from textwright.evaluation.metrics.base import Judged
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.metrics.meteor import Meteor, MeteorOwnWords
from textwright.evaluation.metrics.meteor.synonyms import Synonyms
from textwright.evaluation.metrics.meteor.tokens import Tokenizer
from textwright.evaluation.metrics.meteor.word_lists import WordLists

FUNCTION_WORDS = ("the", "a", "it", "is", "not", "and", "on", ",", "?", "'s", "'t")
"""Of the words below, those that METEOR's program takes for function words."""

VALUES = [
    ("cat", "cat", 1.0),
    ("the cat", "cat", 0.38095238095238093),
    ("cat sat", "sat cat", 0.4),
    ("cats", "cat", 0.6),
    ("cats", "cat cat", 0.0),
    ("cats", "cat cats", 0.2162162162162162),
    ("the cats sat", "the cat sat", 0.8285714285714284),
    ("the cat sat", "the cat sat on the mat", 0.32253203916506945),
    ("on the mat sat the cat", "the cat sat on the mat", 0.4776696620223255),
    ("the cats sat on mats", "the cat sat on the mat", 0.3632088987178342),
    ("It's a dog, isn't it?", "it is a dog is not it", 0.27096718326441177),
    ("running runs ran", "run running runner", 0.1333333333333333),
    ("你好 世界", "你好世界", 1.0),
    ("", "cat", 0.0),
    ("cat", "", 0.0),
    ("", "", 0.0),
]


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> MeteorOwnWords:
    """With METEOR's function words, as far as the texts here have any."""
    path = tmp_path_factory.mktemp("lists") / "words.txt"
    path.write_text("\n".join(FUNCTION_WORDS), encoding="utf-8")
    return MeteorOwnWords(path)


@pytest.mark.parametrize(("prediction", "reference", "expected"), VALUES)
def test_two_texts_have_the_score_of_meteors_program(
    metric: MeteorOwnWords, prediction: str, reference: str, expected: float
) -> None:
    assert score_of(metric, Judged(prediction, (reference,))) == pytest.approx(expected, abs=1e-12)


def test_the_best_of_several_references_counts(metric: MeteorOwnWords) -> None:
    judged = Judged("the cat sat", ("the cat sat on the mat", "a cat sat"))
    assert score_of(metric, judged) == pytest.approx(0.409431138876279, abs=1e-12)


def test_a_file_has_the_score_of_its_sums_and_an_empty_prediction_counts(metric: MeteorOwnWords) -> None:
    judged = [
        Judged("the cat sat", ("the cat sat",)),
        Judged("a dog", ("the cat sat on the mat and slept",)),
        Judged("", ("the cat",)),
    ]
    counts = metric.measure(judged)
    assert metric.values(counts.sum(axis=0))[0] == pytest.approx(0.2845528455284553, abs=1e-12)
    assert metric.values(counts)[:, 0].mean() == pytest.approx(1 / 3)


def test_sums_of_many_sets_are_judged_at_once(metric: MeteorOwnWords) -> None:
    counts = metric.measure([Judged(text, ("the cat sat",)) for text in ("the cat", "a cat sat", "dogs")])
    sums = np.stack([counts.sum(axis=0), counts[:2].sum(axis=0), counts[2]])
    assert metric.values(sums)[:, 0].tolist() == [metric.values(row)[0] for row in sums]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The U.S. and e.g. Ukraine.", "the us and eg ukraine ."),
        ("Mr. Smith's dogs, 1990's", "mr. smith 's dogs , 1990 's"),
        ("well-known -- state-of-the-art", "well known - state of the art"),
        ("a–b and “c” and ``d''", 'a - b and " c " and " d "'),
        ("3,000.50, 7", "3,000.50 , 7"),
        ("isn't 'tis dogs'", "isn 't ' tis dogs '"),
        ("Wait... what?!", "wait ... what ? !"),
        ("No. 5 is not for No. Never", "no. 5 is not for no . never"),
        ("the end. and on", "the end. and on"),
        ("你好，世界 caf\u00e9 cafe\u0301", "你 好 ， 世 界 café cafe \u0301"),
        ("Привет, мир", "привет , мир"),
        ("two\nlines\tand\r\nblanks", "two lines and blanks"),
        ("", ""),
    ],
)
def test_words_are_those_of_meteors_program(text: str, words: str) -> None:
    tokenizer = Tokenizer({"Mr"}, {"No"})
    assert tokenizer.words([text]) == [words.split()]
    beside = tokenizer.words(["one.", text, ", two"])
    assert beside == [["one", "."], words.split(), [",", "two"]], "no text changes another's words"


def test_without_meteors_list_the_figure_says_so_in_its_name() -> None:
    metric = find_metric("meteor")
    assert [figure.name for figure in metric.figures] == ["meteor_own_words"]
    assert "function-words:english-novels" in metric.signature


def test_an_example_without_references_is_refused_by_its_place(metric: MeteorOwnWords) -> None:
    with pytest.raises(InputError, match="example 2"):
        metric.measure([Judged("a", ("a",)), Judged("a")])


def test_other_words_are_not_taken_for_meteors(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("the\na\n", encoding="utf-8")
    with pytest.raises(InputError, match="is not METEOR 1.5.s program"):
        Meteor(path)
    assert "function-words:words.txt#" in MeteorOwnWords(path).signature


def test_a_jar_is_read_without_being_run(tmp_path: Path) -> None:
    path = tmp_path / "some.jar"
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("function/english.words", "the\n,\n")
        jar.writestr("nonbreaking/english.prefixes", "# titles\nMr\n\nNo #NUMERIC_ONLY#\n")
    expected = WordLists("some.jar", frozenset(("the", ",")), frozenset(("Mr",)), frozenset(("No",)))
    assert WordLists.of_file(path) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "no list of words"), (b"two words\n", "no list of words"), (b"\xff\xfe", "not UTF-8"), (None, "no file")],
)
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "words.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        WordLists.of_file(path)


def test_an_archive_without_meteors_lists_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.jar"
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("something", "else")
    with pytest.raises(InputError, match="holds no lists of METEOR"):
        WordLists.of_file(path)


def test_words_mean_what_their_base_forms_mean(tmp_path: Path) -> None:
    path = tmp_path / "some.jar"
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("synonym/english.synsets", "car\n7 3\nauto\n3\nchild\n5\nbus\n9\nbase\n1\n")
        jar.writestr("synonym/english.exceptions", "child\nchildren childer\nbase\nbases\nbus\nbases\n")
    synonyms = Synonyms.of_jar(path)
    found = {word: synonyms.meanings_of(word) for word in ("car", "cars", "children", "bases", "buss", "buses", "dog")}
    expected = {"car": [3, 7], "cars": [3, 7], "children": [5], "bases": [1, 9], "buss": [], "buses": [9], "dog": []}
    assert found == expected


@pytest.mark.parametrize("content", ["car\n", "car\nseven\n"])
def test_synonyms_that_cannot_be_read_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "some.jar"
    with zipfile.ZipFile(path, "w") as jar:
        jar.writestr("synonym/english.synsets", content)
        jar.writestr("synonym/english.exceptions", "")
    with pytest.raises(InputError, match="holds no synonyms"):
        Synonyms.of_jar(path)


def score_of(metric: MeteorOwnWords, judged: Judged) -> float:
    """The figure of one example."""
    return float(metric.values(metric.measure([judged]))[0, 0])
