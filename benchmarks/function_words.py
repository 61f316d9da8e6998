"""Function words by the rule of METEOR: what is more than one in a thousand of a corpus' words, marks among them.

    python benchmarks/function_words.py FOLDER [--jar meteor-1.5.jar] > function_words.txt

FOLDER holds texts, compressed or not. With METEOR's jar it says, on standard error, which words only one list has.

Source: Denkowski and Lavie 2014, "Meteor Universal".
"""

import argparse
import gzip
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from textwright.evaluation.metrics.meteor.tokens import Tokenizer
from textwright.evaluation.metrics.meteor.word_lists import OWN_ABBREVIATIONS, OWN_BEFORE_NUMBERS, WordLists

LEAST_SHARE = 1e-3


def main() -> None:
    """Print the words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jar", type=Path)
    arguments = parser.parse_args()
    words = function_words(texts(arguments.folder))
    print("\n".join(words))
    if arguments.jar is not None:
        meteors = WordLists.of_file(arguments.jar).function_words
        print(f"{len(words)} words, METEOR's {len(meteors)}, in both {len(meteors & set(words))}", file=sys.stderr)
        print(f"only ours: {' '.join(word for word in words if word not in meteors)}", file=sys.stderr)
        print(f"only METEOR's: {' '.join(sorted(meteors - set(words)))}", file=sys.stderr)


def texts(folder: Path) -> Iterator[str]:
    """The texts of a folder, in the order of their names."""
    for path in sorted(folder.glob("*.txt*")):
        raw = path.read_bytes()
        yield (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")


def function_words(corpus: Iterator[str]) -> list[str]:
    """The words, in the order of the alphabet."""
    tokenizer = Tokenizer(OWN_ABBREVIATIONS, OWN_BEFORE_NUMBERS)
    counts: Counter[str] = Counter()
    for text in corpus:
        for words in tokenizer.words(text.splitlines()):
            counts.update(words)
    total = counts.total()
    return sorted(word for word, times in counts.items() if times > LEAST_SHARE * total)


if __name__ == "__main__":
    main()
