"""Classification: tables and JSON with a text and its label, or files of text in a folder for each label.

Names of labels may lie beside the rows, in a file of their own: lines, or a JSON array. Where labels are numbers, these
count them from 0, or from 1 where no label is 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textwright.core.errors import InputError, nearest
from textwright.tasks.base import Example, Task
from textwright.tasks.rows import LINE, Columns, Row, open_rows
from textwright.tasks.wording import after, is_spaceless, one_line
from textwright.text.files import find_files

TEXT = ("text", "sentence", "review", "content", "description", "question", "tweet")
LABEL = ("label", "category", "class", "intent", "topic")
TITLE = "title"
COLUMNS: Columns = (("text", "label"), ("class", "title", "description"))
"""SST-2's, and AG News's."""
ASKED = ("Label:", "标签：")
"""After a text, and after one in a language that is written without spaces."""


@dataclass(frozen=True)
class Labelled:
    """A text and its label, as they are written in a file."""

    text: str
    label: str
    id: str


class Classification(Task):
    """A text, of which is to be said what kind it is: every label is an option."""

    name = "classification"
    summary = "say what kind a text is: sentiment, topic, intent"
    metrics = ("accuracy", "f1")
    max_new_tokens = 16

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a row, with the labels of all of them.

        Raises:
            InputError: fewer than two labels, or one that has no name among those given.
        """
        found, given = _read(find_files(paths))
        names = label_names([one.label for one in found], given)
        if len(names) < 2:
            raise InputError(
                f"one label alone: {', '.join(names)}",
                where=", ".join(map(str, paths[:3])),
                expected="texts of two labels or more, or the labels' names in a file of their own",
            )
        options = {prompt: tuple(after(prompt, name) for name in names.values()) for prompt in ASKED}
        for one in found:
            asked = ASKED[is_spaceless(one.text)]
            yield Example(
                f"{one.text}\n{asked}",
                after(asked, names[one.label]),
                (names[one.label],),
                options=options[asked],
                source=one.text,
                id=one.id,
                details={"label": one.label},
            )


def label_names(labels: Sequence[str], given: Sequence[str] = ()) -> dict[str, str]:
    """Every label and its name in words, in the order of the names; else numbers by size, others by the alphabet.

    Args:
        labels: of the texts, each as often as it comes.
        given: names of labels.

    Raises:
        InputError: a label without a name.
    """
    different = sorted(set(labels))
    are_numbers = all(label.isdecimal() for label in different)
    if given and are_numbers:
        first = 0 if any(int(label) == 0 for label in different) else 1
        known = {str(number): name for number, name in enumerate(given, first)}
    elif given:
        known = {name: name for name in given}
    else:
        known = {label: label for label in (sorted(different, key=int) if are_numbers else different)}
    for label in different:
        if label not in known:
            close = nearest(label, known)
            fix = f"did you mean {close!r}?" if close else ""
            raise InputError(f"the label {label!r}", expected=f"one of {', '.join([*known][:12])}", fix=fix)
    spoken = {label: one_line(name.replace("_", " ")) for label, name in known.items()}
    return spoken if len(set(spoken.values())) == len(spoken) else known


def _read(files: Sequence[Path]) -> tuple[list[Labelled], list[str]]:
    """The texts with their labels, and the names that labels are given."""
    found, lines = list[Labelled](), dict[Path, list[str]]()
    for path in files:
        for row in open_rows(path, COLUMNS)[1]:
            if LINE in row.fields and len(row.fields) == 1:
                lines.setdefault(path, []).append(row.text(LINE))
            else:
                found.append(Labelled(_text_of(row), one_line(row.text(*LABEL)), row.id))
    if found:
        return found, [name for some in lines.values() for name in some if name.strip()]
    return list(_of_folders(lines)), []


def _text_of(row: Row) -> str:
    text = one_line(row.text(*TEXT))
    return f"{one_line(row.text(TITLE))}. {text}" if row.has(TITLE) else text


def _of_folders(lines: Mapping[Path, Sequence[str]]) -> Iterator[Labelled]:
    """Files of text, each labelled by the folder that it is in."""
    for path, some in lines.items():
        label = path.absolute().parent.name
        yield Labelled(one_line(" ".join(some)), label, f"{label}/{path.name}")
