"""The words of a text, as METEOR 1.5 makes them of English text (its option ``-norm``).

Letters and digits stay together; every other character is a word, each Chinese character and each kana among them. ::

    The U.S. isn't well-known...  ->  the us isn 't well known ...
"""

import re
from collections.abc import Collection, Sequence

LETTERS = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e\u0400-\u0527\ua640-\ua66e\ua67e-\ua697\u1d00-\u1d7f"
"""Latin and Cyrillic ones; combining accents are none."""
BLANKS = " \t\n\x0b\f\r"
SINGLE_QUOTES = "`‘’"
DOT = "\ufdd0"
"""Stands for a full stop of several in a row until words are made; no text has this character, by Unicode's rule."""

ALONE = re.compile(f"([^{LETTERS}0-9{BLANKS}.'{SINGLE_QUOTES},-])")
DOTS = re.compile(r"\.{2,}")
SINGLE_QUOTE = re.compile(f"[{SINGLE_QUOTES}]")
DOUBLE_QUOTE = re.compile("[“”]|''")
SPLITS = [
    # A comma stays only between digits.
    (re.compile("([^0-9]),([^0-9])"), r"\1 , \2"),
    (re.compile("([0-9]),([^0-9])"), r"\1 , \2"),
    (re.compile("([^0-9]),([0-9])"), r"\1 , \2"),
]
AFTER_DASHES = [
    (re.compile(f"([{LETTERS}0-9.])-([{LETTERS}0-9])"), r"\1 \2"),
    # An apostrophe stays with the letters after it, in the midst of a word only.
    (re.compile(f"([^{LETTERS}])'([^{LETTERS}])"), r"\1 ' \2"),
    (re.compile(f"([^{LETTERS}0-9])'([{LETTERS}])"), r"\1 ' \2"),
    (re.compile(f"([{LETTERS}])'([^{LETTERS}])"), r"\1 ' \2"),
    (re.compile(f"([{LETTERS}])'([{LETTERS}])"), r"\1 '\2"),
    (re.compile("([0-9])'(s)"), r"\1 '\2"),
]
LETTER = re.compile(f"[{LETTERS}]")


class Tokenizer:
    """Makes words of texts.

    Args:
        abbreviations: words that keep their full stop, wherever they are: ``Mr``.
        before_numbers: those that keep it before a number: ``No``.
    """

    def __init__(self, abbreviations: Collection[str], before_numbers: Collection[str]) -> None:
        self._abbreviations, self._before_numbers = frozenset(abbreviations), frozenset(before_numbers)

    def words(self, texts: Sequence[str]) -> list[list[str]]:
        """The words of each text, in lower case."""
        if not texts:
            return []
        # All texts at once, a line each: a pattern never sees beyond the blanks around its line.
        lines = _separated("\n".join(f" {text} " for text in (text.replace("\n", " ") for text in texts)))
        return [self._finished(line.split()) for line in lines.split("\n")]

    def _finished(self, pieces: list[str]) -> list[str]:
        """The words of a line's pieces: those that end with a full stop keep it, lose it, or stand before it."""
        words: list[str] = []
        for place, piece in enumerate(pieces):
            if piece[-1] != "." or len(piece) == 1:
                words.append(piece.replace(DOT, ".").lower())
                continue
            stem, following = piece[:-1], pieces[place + 1][0] if place + 1 < len(pieces) else ""
            if "." in stem and LETTER.search(stem):
                words.append(piece.replace(".", "").lower())
            elif self._keeps_stop(stem, following):
                words.append(piece.lower())
            else:
                words += (stem.lower(), ".")
        return words

    def _keeps_stop(self, stem: str, following: str) -> bool:
        """Whether a full stop belongs to the word before it: where it is short for something, or no new sentence."""
        is_short = stem in self._abbreviations or "a" <= following <= "z"
        return is_short or (stem in self._before_numbers and "0" <= following <= "9")


def _separated(text: str) -> str:
    """What words are made of, with blanks between."""
    text = ALONE.sub(r" \1 ", text)
    text = DOTS.sub(lambda dots: f" {DOT * len(dots[0])} ", text)
    for pattern, replacement in SPLITS:
        text = pattern.sub(replacement, text)
    text = DOUBLE_QUOTE.sub(' " ', SINGLE_QUOTE.sub("'", text))
    text = text.replace("–", "-").replace("--", "-")
    for pattern, replacement in AFTER_DASHES:
        text = pattern.sub(replacement, text)
    return text
