"""Filling in: files of code of which a line is missing, which is to be written to the letter.

::

    passage     sixteen lines that follow each other
    prefix      those before the missing one, and its indentation but for the last space
    completion  that space, and the line: of those that are long enough, the one that is nearest to the middle
    suffix      the end of the line, and those after it

So prefix and completion are cut into the tokens that they have in any text. A model that fills in the middle sees both
sides; any other goes on with what stands before the line.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task
from textwright.tasks.documents import document_texts

PASSAGE_LINES, FEWEST_LINES = 16, 8
"""Of a passage; and of the last one of a file, which is left out where it is shorter."""


class LineInfilling(Task):
    """A passage of code with a line missing."""

    name = "line_infilling"
    summary = "write the missing line of a passage of code"
    metrics = ("accuracy", "edit_distance")
    fewest_characters = 10
    """Of a line that is worth asking for, without the white space around it."""

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a passage; those without a line that is long enough are left out.

        Raises:
            InputError: a file that cannot be read, or none with a passage.
        """
        is_empty = True
        for name, text in document_texts(paths):
            lines = text.rstrip().split("\n")
            for start in range(0, len(lines), PASSAGE_LINES):
                passage = lines[start : start + PASSAGE_LINES]
                place = _missing(passage, self.fewest_characters)
                if len(passage) >= FEWEST_LINES and place is not None:
                    is_empty = False
                    yield _example(passage, place, f"{name}:{start + place + 1}", name)
        if is_empty:
            raise InputError(
                f"no passage of {FEWEST_LINES} lines with one of {self.fewest_characters} characters",
                where=", ".join(map(str, paths[:3])),
                expected="files of code",
            )


def _missing(passage: Sequence[str], fewest_characters: int) -> int | None:
    """The place of the line that is asked for; never the first, so that something stands before it."""
    middle = len(passage) // 2
    places = [place for place, line in enumerate(passage) if place and len(line.strip()) >= fewest_characters]
    return min(places, key=lambda place: abs(place - middle), default=None)


def _example(passage: Sequence[str], place: int, name: str, document: str) -> Example:
    line = passage[place].rstrip()
    start = max(0, len(line) - len(line.lstrip()) - 1)
    before = "".join(f"{one}\n" for one in passage[:place]) + line[:start]
    after = "".join(f"\n{one}" for one in passage[place + 1 :])
    sides = (before, f"{after}\n")
    return Example(
        before, line[start:], (line.strip(),), prefix_suffix=sides, source=before + after, id=name, document=document
    )
