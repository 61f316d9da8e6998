"""Relations between two marked things: blocks of lines as SemEval-2010's task 8 has them.

::

    8002    "The <e1>company</e1> fabricates plastic <e2>chairs</e2>."
    Product-Producer(e2,e1)
    Comment: (a) is satisfied
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task
from textwright.tasks.rows import read_blocks
from textwright.tasks.wording import one_line
from textwright.text.files import find_files

NAMES = (
    *("Cause-Effect", "Component-Whole", "Content-Container", "Entity-Destination", "Entity-Origin"),
    *("Instrument-Agency", "Member-Collection", "Message-Topic", "Product-Producer"),
)
"""SemEval's nine relations."""
SEMEVAL = (*(f"{name}({order})" for name in NAMES for order in ("e1,e2", "e2,e1")), "Other")


class Relations(Task):
    """A sentence with two marked things: how they are related, and in which direction, is to be said."""

    name = "relations"
    summary = "say how two things in a sentence are related"
    metrics = ("relation_f1", "accuracy")
    max_new_tokens = 16

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a block. The options are SemEval's nineteen, or else the relations of the files.

        Raises:
            InputError: a block of another form.
        """
        found = [_read(path, number, lines) for path in find_files(paths) for number, lines in read_blocks(path)]
        known = {relation for _, relation, _ in found}
        relations = SEMEVAL if known <= set(SEMEVAL) else tuple(sorted(known))
        options = tuple(f" {relation}" for relation in relations)
        for sentence, relation, name in found:
            prompt = f"{sentence}\nRelation:"
            yield Example(prompt, f" {relation}", (relation,), options=options, source=sentence, id=name)


def _read(path: Path, number: int, lines: Sequence[str]) -> tuple[str, str, str]:
    """(sentence, relation, name) of a block."""
    name, _, sentence = lines[0].partition("\t")
    if "<e1>" not in sentence or "<e2>" not in sentence or len(lines) < 2:
        raise InputError(
            f"{lines[0][:60]!r}",
            where=f"{path}:{number}",
            expected="a number, a tab and a sentence with <e1> and <e2>, and its relation in the next line",
        )
    return one_line(sentence.strip().removeprefix('"').removesuffix('"')), lines[1].strip(), name.strip()
