"""The lists of words that METEOR goes by: from its own program where the user has it, or ours."""

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Self

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path, read_text

OWN_FILE = "function_words.txt"
"""Made by ``benchmarks/function_words.py`` from the novels of ``corpus-english-novels``."""
OWN_NAME = "english-novels"
JAR_NAME = "meteor-1.5"
FUNCTION_WORDS_IN_JAR = "function/english.words"
ABBREVIATIONS_IN_JAR = "nonbreaking/english.prefixes"
BEFORE_NUMBERS_MARK = "#NUMERIC_ONLY#"
SHA256_OF_METEORS = "49ea80453a59169a1322bab33a4f8c82a1214a9029f105998d518a491f65d019"
"""Of METEOR 1.5's function words, sorted, a line each."""
MAX_BYTES = 2**25
"""Of a list, as far as it is read."""

OWN_ABBREVIATIONS = frozenset(
    (
        *(
            "Mr",
            "Mrs",
            "Ms",
            "Dr",
            "Prof",
            "Rev",
            "Hon",
            "St",
            "Mt",
            "Gen",
            "Col",
            "Maj",
            "Capt",
            "Lt",
            "Cmdr",
            "Adm",
            "Sgt",
        ),
        *("Gov", "Sen", "Rep", "Pres", "Messrs", "Mme", "Mlle", "Jr", "Sr", "vs"),
        *"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    )
)
OWN_BEFORE_NUMBERS = frozenset(("No", "Nos", "Art", "pp"))


@dataclass(frozen=True)
class WordLists:
    """What METEOR needs to know of English words."""

    name: str
    """Where the function words come from."""
    function_words: frozenset[str]
    """Words that say little and weigh less; punctuation among them. In lower case."""
    abbreviations: frozenset[str] = OWN_ABBREVIATIONS
    """Words that keep their full stop."""
    before_numbers: frozenset[str] = OWN_BEFORE_NUMBERS
    """Words that keep it before a number."""

    @classmethod
    def own(cls) -> Self:
        """Ours: every word and mark that is more than one in a thousand of those of 97 novels."""
        text = files(__package__).joinpath(OWN_FILE).read_text(encoding="utf-8")
        return cls(OWN_NAME, frozenset(text.splitlines()))

    @classmethod
    def of_file(cls, path: Path) -> Self:
        """The lists of METEOR's program, a ``.jar``, which is read and not run; or function words, one a line.

        Raises:
            InputError: the file is neither.
        """
        with given_path(path):
            is_jar = path.is_file() and zipfile.is_zipfile(path)
        if is_jar:
            return cls._of_jar(path)
        words = frozenset(word for word in map(str.strip, read_text(path).splitlines()) if word)
        if not words or any(len(word.split()) > 1 for word in words):
            raise InputError(f"{path} is no list of words", expected="METEOR's .jar, or a text file, a word a line")
        return cls(f"{path.name}#{_hash(words)[:8]}", words)

    @classmethod
    def _of_jar(cls, path: Path) -> Self:
        words, prefixes = read_members(path, (FUNCTION_WORDS_IN_JAR, ABBREVIATIONS_IN_JAR))
        entries = [line.split() for line in prefixes.splitlines() if line.strip() and not line.startswith("#")]
        numeric = frozenset(entry[0] for entry in entries if entry[1:2] == [BEFORE_NUMBERS_MARK])
        function_words = frozenset(words.splitlines())
        name = JAR_NAME if _hash(function_words) == SHA256_OF_METEORS else path.name
        return cls(name, function_words, frozenset(entry[0] for entry in entries) - numeric, numeric)


def read_members(path: Path, names: Sequence[str]) -> list[str]:
    """The texts of members of METEOR's jar.

    Raises:
        InputError: it is no jar, or has no such members.
    """
    try:
        with given_path(path), zipfile.ZipFile(path) as jar:
            return [_member(jar, name) for name in names]
    except (KeyError, zipfile.BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} holds no lists of METEOR: {error}", expected="meteor-1.5.jar") from None


def _member(jar: zipfile.ZipFile, name: str) -> str:
    with jar.open(name) as file:
        return file.read(MAX_BYTES).decode("utf-8")


def _hash(words: frozenset[str]) -> str:
    return hashlib.sha256("\n".join(sorted(words)).encode()).hexdigest()
