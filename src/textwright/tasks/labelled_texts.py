"""Texts with their labels: tables and JSON with a text and its label, or files of text in a folder for each label.

Names of labels may lie beside the rows, in a file of their own: lines, or a JSON array. Where labels are numbers, these
count them from 0, or from 1 where no label is 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from textwright.core.errors import InputError, nearest
from textwright.tasks.rows import LINE, Columns, Row, open_rows
from textwright.tasks.wording import one_line
from textwright.text.files import find_files

TEXT = ("text", "sentence", "review", "content", "description", "question", "tweet")
LABEL = ("label", "category", "class", "intent", "topic")
TITLE = "title"
COLUMNS: Columns = (("text", "label"), ("class", "title", "description"))
"""SST-2's, and AG News's."""


@dataclass(frozen=True)
class LabelledText:
    """A text and its label."""

    text: str
    label: str | None
    """None: it has none."""
    id: str


@dataclass(frozen=True)
class LabelledTexts:
    """The texts of files."""

    texts: list[LabelledText]
    """With labels as they are written there."""
    names: dict[str, str]
    """Every label's name in words, in their order; of some there may be no text."""

    def named(self) -> list[LabelledText]:
        """The texts with their labels in words."""
        return [one if one.label is None else replace(one, label=self.names[one.label]) for one in self.texts]


def read_labelled_texts(paths: Sequence[Path]) -> LabelledTexts:
    """Texts that all have labels.

    Raises:
        InputError: a file of another form, fewer than two labels, or one that has no name among those given.
    """
    files = find_files(paths)
    found, lines = _rows_and_lines(files, needs_labels=True)
    given = [name for some in lines.values() for name in some if name.strip()] if found else []
    found = found or list(_of_folders(lines))
    names = label_names([one.label for one in found if one.label is not None], given)
    if len(names) < 2:
        raise InputError(
            f"one label alone: {', '.join(names)}",
            where=_shown(paths),
            expected="texts of two labels or more, or the labels' names in a file of their own",
        )
    return LabelledTexts(found, names)


def read_texts(paths: Sequence[Path]) -> LabelledTexts:
    """Texts that may have labels: rows, the files of folders, and the lines of files that are named.

    Raises:
        InputError: a file of another form, no text, or labels for some texts only.
    """
    in_folders = [file for path in paths if path.is_dir() for file in find_files([path])]
    found, lines = _rows_and_lines(find_files(paths), needs_labels=False)
    if found and not found[0].label and lines:
        what = f"{next(iter(lines))} holds lines, and other files rows"
        raise InputError(what, expected="one or the other")
    given = [name for some in lines.values() for name in some if name.strip()] if found else []
    if not found:
        found = list(_of_folders({path: lines[path] for path in in_folders if path in lines}))
        of_named = [one for path, some in lines.items() if path not in in_folders for one in _of_lines(path, some)]
        if of_named or len({one.label for one in found}) < 2:
            found = [replace(one, label=None) for one in found] + of_named
    if not found:
        raise InputError(f"no text in {_shown(paths)}", expected="at least one")
    without = next((one for one in found if one.label is None), None)
    if without is not None and any(one.label is not None for one in found):
        raise InputError("no label", where=without.id, expected="one for every text, or for none")
    labels = [one.label for one in found if one.label is not None]
    return LabelledTexts(found, label_names(labels, given) if labels else {})


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


def _rows_and_lines(files: Sequence[Path], *, needs_labels: bool) -> tuple[list[LabelledText], dict[Path, list[str]]]:
    """The texts of rows, and the lines of files that have no rows."""
    found, lines = list[LabelledText](), dict[Path, list[str]]()
    for path in files:
        for row in open_rows(path, COLUMNS)[1]:
            if LINE in row.fields and len(row.fields) == 1:
                lines.setdefault(path, []).append(row.text(LINE))
            else:
                label = one_line(row.text(*LABEL)) if needs_labels or row.has(*LABEL) else None
                found.append(LabelledText(_text_of(row), label, row.id))
    return found, lines


def _text_of(row: Row) -> str:
    text = one_line(row.text(*TEXT))
    return f"{one_line(row.text(TITLE))}. {text}" if row.has(TITLE) else text


def _of_folders(lines: Mapping[Path, Sequence[str]]) -> Iterator[LabelledText]:
    """Files of text, each labelled by the folder that it is in."""
    for path, some in lines.items():
        label = path.absolute().parent.name
        yield LabelledText(one_line(" ".join(some)), label, f"{label}/{path.name}")


def _of_lines(path: Path, lines: Sequence[str]) -> Iterator[LabelledText]:
    """The lines of a file with anything in them, each a text."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield LabelledText(one_line(line), None, f"{path.name}:{number}")


def _shown(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths[:3]))


def check_have_text(texts: Sequence[LabelledText]) -> None:
    """See that no text is empty.

    Raises:
        InputError: one is.
    """
    for one in texts:
        if not one.text.strip():
            raise InputError("an empty text", where=one.id, expected="texts that are not empty", fix="leave it out")
