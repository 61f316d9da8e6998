"""Words have the stems of Snowball's English stemmer of 2015."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from nltk.stem.snowball import SnowballStemmer

from textwright.evaluation.metrics.meteor.porter2 import stem

OTHERWISE_IN_NLTK = {"quantization", "irrationally", "sensationally", "sensationalism"}
"""NLTK moves R1 and R2 when it takes an ending off; those of the algorithm, and of METEOR's program, stay."""


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("quantization", "quantiz"),
        ("irrationally", "irrat"),
        ("emergency", "emerg"),
        ("universal", "univers"),
        ("universities", "univers"),
        ("vying", "vy"),
        ("skies", "sky"),
        ("inning", "inning"),
        ("hopping", "hop"),
        ("hoping", "hope"),
        ("generate", "generat"),
        ("communism", "communism"),
        ("cry", "cri"),
        ("by", "by"),
        ("say", "say"),
        ("youth", "youth"),
        ("'re", "re"),
        ("cat's", "cat"),
        ("ties", "tie"),
        ("gas", "gas"),
        ("gaps", "gap"),
        ("is", "is"),
        ("你", "你"),
        (",", ","),
        ("3,000", "3,000"),
    ],
)
def test_a_word_has_its_stem(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_all_words_of_texts_have_the_stems_of_nltk(data_folder: Callable[[str], Path]) -> None:
    words = set()
    for path in sorted(data_folder("corpus-english-novels").glob("*.gz"))[::32]:
        words |= set(re.findall("[a-z]+", gzip.decompress(path.read_bytes()).decode("utf-8-sig").lower()))
    theirs = SnowballStemmer("english")
    assert len(words) > 15_000
    assert {word for word in words if stem(word) != theirs.stem(word)} <= OTHERWISE_IN_NLTK
