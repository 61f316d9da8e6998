"""One thing is one thing, and of several the noun is in the plural."""

import pytest

from textwright.core.words import counted


@pytest.mark.parametrize(
    ("number", "noun", "told"),
    [
        (1, "text", "1 text"),
        (0, "text", "0 texts"),
        (2000, "example", "2,000 examples"),
        (1, "block of 1,024 bytes", "1 block of 1,024 bytes"),
        (3, "block of 1,024 bytes", "3 blocks of 1,024 bytes"),
    ],
)
def test_a_number_has_its_noun(number: int, noun: str, told: str) -> None:
    assert counted(number, noun) == told
