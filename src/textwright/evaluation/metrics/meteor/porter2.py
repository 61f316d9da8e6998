"""The stem of an English word, by Porter's second algorithm as Snowball had it in 2015.

Later Snowballs stem some words otherwise (``emergency``, ``universal``, ``vying``); METEOR 1.5 carries this one.

Source: M. F. Porter 2001, "Snowball: a language for stemming algorithms", its English stemmer.
"""

from collections.abc import Collection
from functools import lru_cache

VOWELS = frozenset("aeiouy")
"""A ``y`` that is a consonant is written ``Y`` while a word is stemmed."""
NOT_AFTER_SHORT_VOWEL = VOWELS | frozenset("wxY")
DOUBLES = frozenset(("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt"))
BEFORE_LI = frozenset("cdeghkmnrt")
STARTS_BEFORE_R1 = ("gener", "commun", "arsen")

WHOLE_WORDS = {
    "skis": "ski",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
} | {word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")}
DONE_WITHOUT_PLURAL = frozenset(
    ("inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"),
)

Endings = dict[str, str]
"""Ending -> what takes its place."""
DERIVED: Endings = {
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "abli": "able",
    "entli": "ent",
    "izer": "ize",
    "ization": "ize",
    "ational": "ate",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "aliti": "al",
    "alli": "al",
    "fulness": "ful",
    "ousli": "ous",
    "ousness": "ous",
    "iveness": "ive",
    "iviti": "ive",
    "biliti": "ble",
    "bli": "ble",
    "ogi": "og",
    "fulli": "ful",
    "lessli": "less",
    "li": "",
}
FURTHER: Endings = {
    "tional": "tion",
    "ational": "ate",
    "alize": "al",
    "icate": "ic",
    "iciti": "ic",
    "ical": "ic",
    "ful": "",
    "ness": "",
    "ative": "",
}
LAST = frozenset(
    (
        *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent"),
        *("ism", "ate", "iti", "ous", "ive", "ize", "ion"),
    )
)


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """The stem of a word in lower case; what is no English word comes back much as it is."""
    if word in WHOLE_WORDS:
        return WHOLE_WORDS[word]
    if len(word) < 3:
        return word
    word = _with_consonant_y(word.removeprefix("'"))
    r1, r2 = _regions(word)
    word = _without_plural(_without_possessive(word))
    if word not in DONE_WITHOUT_PLURAL:
        word = _without_tense(word, r1)
        if len(word) > 2 and word[-1] in "yY" and word[-2] not in VOWELS:
            word = word[:-1] + "i"
        word = _derived(word, r1)
        word = _further(word, r1, r2)
        word = _last(word, r2)
        word = _without_final(word, r1, r2)
    return word.replace("Y", "y")


def _with_consonant_y(word: str) -> str:
    """``y`` becomes ``Y`` at the beginning and after a vowel."""
    if "y" not in word:
        return word
    letters = list(word)
    for place, letter in enumerate(letters):
        if letter == "y" and (place == 0 or letters[place - 1] in VOWELS):
            letters[place] = "Y"
    return "".join(letters)


def _regions(word: str) -> tuple[int, int]:
    """Where R1 and R2 begin: each after the first consonant that follows a vowel, R2 within R1."""
    for start in STARTS_BEFORE_R1:
        if word.startswith(start):
            return len(start), _after_vowel_and_consonant(word, len(start))
    r1 = _after_vowel_and_consonant(word, 0)
    return r1, _after_vowel_and_consonant(word, r1)


def _after_vowel_and_consonant(word: str, start: int) -> int:
    for place in range(start + 1, len(word)):
        if word[place] not in VOWELS and word[place - 1] in VOWELS:
            return place + 1
    return len(word)


def _without_possessive(word: str) -> str:
    for ending in ("'s'", "'s", "'"):
        if word.endswith(ending):
            return word[: -len(ending)]
    return word


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _has_vowel(word[:-2]):
        return word[:-1]
    return word


def _has_vowel(letters: str) -> bool:
    return any(letter in VOWELS for letter in letters)


def _without_tense(word: str, r1: int) -> str:
    for ending in ("eedly", "eed"):
        if word.endswith(ending):
            return word[: -len(ending)] + "ee" if len(word) - len(ending) >= r1 else word
    for ending in ("ingly", "edly", "ing", "ed"):
        if word.endswith(ending):
            rest = word[: -len(ending)]
            return _mended(rest, r1) if _has_vowel(rest) else word
    return word


def _mended(word: str, r1: int) -> str:
    """The verb that is left when ``ed`` or ``ing`` is off: ``hop`` of ``hopp``, ``hope`` of ``hop``."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if word[-2:] in DOUBLES:
        return word[:-1]
    return word + "e" if len(word) == r1 and _ends_short(word) else word


def _ends_short(word: str) -> bool:
    """Whether the last syllable is short: a vowel between consonants, or a vowel and a consonant and nothing else."""
    if len(word) < 2 or word[-2] not in VOWELS or word[-1] in VOWELS:
        return False
    if len(word) == 2:
        return True
    return word[-1] not in NOT_AFTER_SHORT_VOWEL and word[-3] not in VOWELS


def _ending(word: str, endings: Collection[str]) -> str:
    """The longest of some endings that a word has; empty where it has none."""
    for length in range(min(7, len(word)), 1, -1):
        if word[-length:] in endings:
            return word[-length:]
    return ""


def _derived(word: str, r1: int) -> str:
    ending = _ending(word, DERIVED)
    rest = word[: len(word) - len(ending)]
    if not ending or len(rest) < r1:
        return word
    if (ending == "ogi" and not rest.endswith("l")) or (ending == "li" and rest[-1:] not in BEFORE_LI):
        return word
    return rest + DERIVED[ending]


def _further(word: str, r1: int, r2: int) -> str:
    ending = _ending(word, FURTHER)
    rest = word[: len(word) - len(ending)]
    if not ending or len(rest) < (r2 if ending == "ative" else r1):
        return word
    return rest + FURTHER[ending]


def _last(word: str, r2: int) -> str:
    ending = _ending(word, LAST)
    rest = word[: len(word) - len(ending)]
    if not ending or len(rest) < r2 or (ending == "ion" and not rest.endswith(("s", "t"))):
        return word
    return rest


def _without_final(word: str, r1: int, r2: int) -> str:
    rest = word[:-1]
    if word.endswith("e") and (len(rest) >= r2 or (len(rest) >= r1 and not _ends_short(rest))):
        return rest
    if word.endswith("ll") and len(rest) >= r2:
        return rest
    return word
