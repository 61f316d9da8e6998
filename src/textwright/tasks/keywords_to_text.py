"""Keywords as a sentence: examples are made of any text, a line each.

The keywords of a line are its longest words, in their order::

    A man sleeping in a green room on a couch.      sleeping, green, couch, room, man
                                                    in their order: man, sleeping, green, room, couch
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task
from textwright.tasks.documents import document_texts
from textwright.tasks.wording import after, one_line

NUM_KEYWORDS = 5
FEWEST_WORDS = 6
"""Of a line; shorter ones are passed over."""
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


class KeywordsToText(Task):
    """Words, of which a sentence is to be made."""

    name = "keywords_to_text"
    summary = "make a sentence of words"
    metrics = ("bleu", "rouge", "meteor")
    baseline = "copy"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """The lines of all documents, in their order.

        Raises:
            InputError: no line is long enough.
        """
        is_empty = True
        for name, text in document_texts(paths):
            for number, line in enumerate(text.split("\n"), 1):
                words = keywords(line)
                if words:
                    is_empty = False
                    source, sentence = ", ".join(words), one_line(line)
                    prompt = f"Words: {source}\nText:"
                    place = f"{name}:{number}"
                    yield Example(prompt, after(prompt, sentence), (sentence,), source=source, id=place, document=name)
        if is_empty:
            raise InputError(
                f"no line of {FEWEST_WORDS} words or more", where=", ".join(map(str, paths[:3])), expected="sentences"
            )


def keywords(line: str) -> tuple[str, ...]:
    """The longest different words of a line, of equally long ones the first, in their order; none of a short line."""
    found = _WORD.findall(line)
    if len(found) < FEWEST_WORDS:
        return ()
    words = list(dict.fromkeys(found))
    longest = sorted(words, key=len, reverse=True)[:NUM_KEYWORDS]
    return tuple(word for word in words if word in longest)
