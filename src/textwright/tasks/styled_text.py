"""Sentences in a style: a file of sentences for each style, such as ``sentiment.train.0`` and ``sentiment.train.1``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.base import Example, Task
from textwright.tasks.rows import LINE, open_rows
from textwright.tasks.wording import after, one_line, spoken
from textwright.text.files import find_files
from textwright.text.readers import unpacked_name


class StyledText(Task):
    """A style, of which a sentence is to be written. The files' names say the styles."""

    name = "styled_text"
    summary = "write a sentence in a style"
    metrics = ("distinct_n",)
    baseline = "ngram"

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """The sentences of each file, file after file."""
        files = find_files(paths)
        for path, style in zip(files, _styles(files), strict=True):
            form, rows = open_rows(path)
            if form != "lines":
                raise InputError(f"{path} is a {form} file", expected="a file of sentences, one a line, for each style")
            for row in rows:
                text, prompt = one_line(row.fields[LINE]), f"Style: {style}\nText:"
                if text:
                    yield Example(prompt, after(prompt, text), (text,), source=style, id=row.id)


def _styles(files: Sequence[Path]) -> list[str]:
    """What tells the files' names apart: of ``pos.train.txt`` and ``neg.train.txt`` it is ``pos`` and ``neg``.

    Raises:
        InputError: two files have the same name.
    """
    parts = [unpacked_name(path).name.split(".") for path in files]
    common = set.intersection(*(set(one) for one in parts))
    styles = [spoken(" ".join(part for part in one if part not in common)) for one in parts]
    if len(files) == 1:
        styles = [spoken(parts[0][0])]
    if len(set(styles)) < len(files):
        raise InputError(
            f"files of one name: {', '.join(map(str, files[:3]))}",
            expected="a file for each style, called after it, such as positive.txt and negative.txt",
        )
    return styles
