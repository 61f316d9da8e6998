"""Going on with a text: passages of any text, of which the first words are given."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task
from textwright.tasks.documents import WORDS, document_texts

PROMPT_WORDS, PASSAGE_WORDS, FEWEST_WORDS = 32, 160, 64
"""Given of a passage; of a passage; of the last passage of a document, which is left out where it is shorter."""


class OpenEnded(Task):
    """The beginning of a passage, to be gone on with; how it went on is the reference."""

    name = "open_ended"
    summary = "go on with a text"
    metrics = ("distinct_n", "repetition", "rouge")
    max_new_tokens = 160
    stop = ()
    baseline = "ngram"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """The passages of all documents, in their order.

        Raises:
            InputError: no document is long enough.
        """
        is_empty = True
        for name, text in document_texts(paths):
            for number, (start, middle, end) in enumerate(_passages(text), 1):
                is_empty = False
                prompt, completion = text[start:middle], text[middle:end]
                place = f"{name}:{number}"
                yield Example(prompt, completion, (completion.strip(),), source=prompt, id=place, document=name)
        if is_empty:
            raise InputError(
                f"no text of {FEWEST_WORDS} words or more",
                where=", ".join(map(str, paths[:3])),
                expected="longer texts",
            )


def _passages(text: str) -> Iterator[tuple[int, int, int]]:
    """Where each passage begins, where its first words end, and where it does."""
    words = [word.span() for word in WORDS.finditer(text)]
    edges = [*range(0, len(words), PASSAGE_WORDS), len(words)]
    for first, stop in pairwise(edges):
        if stop - first >= FEWEST_WORDS:
            yield words[first][0], words[first + PROMPT_WORDS - 1][1], words[stop - 1][1]
