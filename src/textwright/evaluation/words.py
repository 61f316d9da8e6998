"""A text's words, as metrics count them.

A word is a run of letters and digits, in lower case. Scripts that do not put spaces between words (Chinese, Japanese,
Thai, Lao, Tibetan, Burmese, Khmer) have no such runs: there, each character counts. Korean has spaces, but its endings
cling to words, so that its characters count as well.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Literal, get_args

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_OTHERS = (
    "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana
    "\u3105-\u312f\u31a0-\u31bf"  # bopomofo
    "\u1100-\u11ff\u3131-\u318e\uac00-\ud7af"  # hangul
    "\u0e01-\u0e4e\u0e81-\u0ecd\u0f00-\u0fff\u1000-\u109f\u1780-\u17d3"  # Thai, Lao, Tibetan, Burmese, Khmer
)
_CHARACTER, _HAN_CHARACTER = re.compile(f"[{_HAN}{_OTHERS}]"), re.compile(f"[{_HAN}]")
_SENTENCE = re.compile(r".+?(?:(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)|[。！？]++[”’」』）]*+|$)", re.DOTALL)
MOSTLY_HAN = 0.9

Writing = Literal["words", "chinese", "characters"]
"""What a text is counted in: words, or characters, of which nearly all are Chinese, or not."""
WRITINGS: tuple[Writing, ...] = get_args(Writing)


def words_of(text: str) -> list[str]:
    """The words of a text, each character by itself in scripts without spaces between words."""
    return _pattern().findall(text.lower())


def has_characters(text: str) -> bool:
    """Whether a character of a script without spaces between words is in a text."""
    return not text.isascii() and _CHARACTER.search(text) is not None


def writing_of(texts: Sequence[str]) -> Writing:
    """What texts, taken together, are counted in: characters, where these are at least as many as words."""
    if not any(map(has_characters, texts)):
        return "words"
    parts = [part for text in texts for part in words_of(text)]
    characters = [part for part in parts if _CHARACTER.match(part)]
    if 2 * len(characters) < len(parts):
        return "words"
    num_han = sum(_HAN_CHARACTER.match(part) is not None for part in characters)
    return "chinese" if num_han >= MOSTLY_HAN * len(characters) else "characters"


def sentences_of(text: str) -> list[str]:
    """The sentences of a text: each ends at a full stop, question or exclamation mark before white space, or a Chinese
    one anywhere. An abbreviation's full stop counts as an end."""
    return [sentence for sentence in map(str.strip, _SENTENCE.findall(text)) if sentence]


@cache
def _pattern() -> re.Pattern[str]:
    letter = f"[^\\W_{_HAN}{_OTHERS}]"
    # Marks (accents by themselves, vowel signs of Indian scripts) are no letters to Python, and end no word.
    return re.compile(f"[{_HAN}{_OTHERS}]|{letter}(?:{letter}|[{_marks()}])*")


def _marks() -> str:
    """All combining marks."""
    places = [place for place in range(0x300, 0x1F000) if unicodedata.category(chr(place))[0] == "M"]
    return "".join(map(chr, places))
