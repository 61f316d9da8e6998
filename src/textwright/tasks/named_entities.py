"""Named entities: CoNLL files, a word and its tag a line, an empty line after each sentence.

::

    Empire   B-location          Empire State Building = ESB .
    State    I-location          Entities:| location: Empire State Building; location: ESB
    Building I-location
    =        O
    ESB      B-location
    .        O

Of several tags of a word (``B-person,B-group``) the first counts.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.base import Answer, Example, Task
from textwright.tasks.rows import read_blocks
from textwright.text.files import find_files

Entity = tuple[str, str]
"""(type, text)"""
NONE = "none"
_TAG = re.compile(r"O|[BIESLU]-\S*")
_BETWEEN = re.compile(r"; (?=[\w-]+: )")


class NamedEntities(Task):
    """A sentence, of whose people, places and things a list is to be made."""

    name = "named_entities"
    summary = "find the people, places and things in a sentence"
    metrics = ("entity_f1",)
    regex = r" (none|[\w-]+: [^\n]+)"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a sentence.

        Raises:
            InputError: a line without a tag.
        """
        for path in find_files(paths):
            for number, lines in read_blocks(path):
                words, tags = _columns(path, number, lines)
                if words:
                    entities, sentence = entities_of(words, tags), " ".join(words)
                    answer = "; ".join(map(": ".join, entities)) or NONE
                    yield Example(
                        f"{sentence}\nEntities:",
                        f" {answer}",
                        (answer,),
                        source=sentence,
                        id=f"{path.name}:{number}",
                        details={"gold_entities": [list(entity) for entity in entities]},
                    )

    def read_answer(self, text: str, example: Example) -> Answer:  # noqa: ARG002
        """The list, and its entities."""
        said = text.strip()
        parts = [part.partition(": ") for part in _BETWEEN.split(said)] if said not in ("", NONE) else []
        return Answer(said, {"entities": [[name, mention] for name, _, mention in parts]})


def entities_of(words: Sequence[str], tags: Sequence[str]) -> list[Entity]:
    """What tags say: an entity begins at B (S, U) and where the type changes, and ends where it is not gone on with."""
    found, begun = list[Entity](), None
    for place, tag in enumerate([*tags, "O"]):
        kind, _, name = tag.partition("-")
        if begun is not None and (name != begun[0] or kind in "BSU"):
            found.append((begun[0], " ".join(words[begun[1] : place])))
            begun = None
        if name and begun is None:
            begun = (name, place)
    return found


def _columns(path: Path, number: int, lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words and the tags of a sentence: the first column and the last."""
    words, tags = list[str](), list[str]()
    for place, line in enumerate(lines, number):
        cells = line.split("\t") if "\t" in line else line.split()
        if cells[0].startswith("-DOCSTART-"):
            continue
        tag = cells[-1].strip().split(",")[0]
        if len(cells) < 2 or not _TAG.fullmatch(tag):
            raise InputError(
                f"{line[:60]!r}",
                where=f"{path}:{place}",
                expected="a word and its tag, such as B-person, I-person or O",
            )
        words.append("_".join(cells[0].split()))
        tags.append(tag)
    return words, tags
