"""What is given to learn from: texts, pairs, rows and paths, as examples. Torch-free.

::

    a text, or texts                            Example: all of it is learned
    (prompt, completion)                        Example with a prompt
    {"text": ...}, {"messages": [...]}, ...     as a row of a file, see ``text.pair_formats``
    pathlib.Path                                the documents of a file or a folder
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError, nearest
from textwright.core.kinds import describe, wrong_kind
from textwright.data.examples import Example
from textwright.text.document import Document
from textwright.text.files import search
from textwright.text.labels import label_of
from textwright.text.normalise import as_text
from textwright.text.options import ReadOptions
from textwright.text.pair_formats import PAIR, NothingToLearnError
from textwright.text.read import TextFiles
from textwright.text.readers import READERS
from textwright.text.rows import text_of, written_row
from textwright.text.speakers import dialogue_text

ExampleLike = str | tuple[str, str] | Mapping[str, Any] | os.PathLike[str]
Examples = str | os.PathLike[str] | Iterable[ExampleLike]
"""Texts; pairs (prompt, completion); rows, each with its text or of a format of pairs; paths of files and folders."""
EXAMPLES = "texts, pairs (prompt, completion), rows or paths"
LONGEST_PATH = 4096
"""Characters; a longer text is none."""


class GivenExamples:
    """What is to be learned from, one after the other.

    Args:
        examples: see ``Examples``.
        name: what they were given as.
        options: how files and rows are read.
        but: files and folders of which nothing is to be learned.

    Raises:
        InputError: when they are gone through: it is something else, or a file that cannot be read.
    """

    def __init__(self, examples: Any, name: str, options: ReadOptions, *, but: Sequence[Path] = ()) -> None:
        self._examples, self._name, self._options, self._but = examples, name, options, but
        self.num_null = 0
        """Rows that were passed over so far, as ``ReadOptions.null_text`` has it."""

    def __iter__(self) -> Iterator[Example]:
        examples, name, self.num_null = self._examples, self._name, 0
        if isinstance(examples, str):
            check_is_no_path(examples, name, alone=True)
        if isinstance(examples, str | os.PathLike):
            examples = [examples]
        check_is_list(examples, name, EXAMPLES)
        for is_path, numbered in groupby(enumerate(examples), lambda item: isinstance(item[1], os.PathLike)):
            if is_path:
                yield from self._of_files([Path(os.fsdecode(path)) for _, path in numbered])
            else:
                yield from self._in_memory(numbered)

    def _in_memory(self, numbered: Iterable[tuple[int, Any]]) -> Iterator[Example]:
        for number, item in numbered:
            try:
                yield _example(item, number, self._name, self._options)
            except NothingToLearnError:
                if self._options.null_text == "error":
                    raise
                self.num_null += 1

    def _of_files(self, paths: Sequence[Path]) -> Iterator[Example]:
        """The documents of files and folders."""
        files = search(paths, but=self._but).files
        if not files:
            return
        reading = {field.name: getattr(self._options, field.name) for field in fields(self._options)}
        text, parts = TextFiles(files, **reading), list[str]()
        for chunk in text.chunks():
            parts.append(chunk.text)
            if chunk.is_last:
                yield _of_document(parts[0] if len(parts) == 1 else "".join(parts), chunk.document)
                parts = []
        self.num_null += text.num_null


def given_examples(examples: Any, name: str, options: ReadOptions, *, but: Sequence[Path] = ()) -> GivenExamples:
    """See ``GivenExamples``."""
    return GivenExamples(examples, name, options, but=but)


def paths_in(examples: Any) -> list[Path]:
    """The paths among what was given; of what comes as it is gone through, nothing is known before."""
    given = [examples] if isinstance(examples, os.PathLike) else examples
    if not isinstance(given, list | tuple):
        return []
    return [Path(os.fsdecode(one)) for one in given if isinstance(one, os.PathLike)]


def check_is_list(given: Any, name: str, expected: str) -> None:
    """See that something can be gone through in order, and gives what is in it: not its fields' names.

    Raises:
        InputError: it is something else.
    """
    columns = list(given) if isinstance(given, Mapping) else getattr(given, "columns", None)
    if columns is not None:  # a table goes through the names of its columns, as a dict does
        what = describe(given)
        if isinstance(columns, Iterable) and not isinstance(columns, str):
            what += f" with {_fields(columns)}"
        raise InputError(f"{name} is {what}", expected=expected, fix="give a list of what is to be read of it")
    if isinstance(given, set | frozenset):
        raise wrong_kind(name, given, expected, fix="give a list: a set has another order each time")
    if isinstance(given, bytes | bytearray | memoryview):
        raise wrong_kind(name, given, expected)
    try:
        iter(given)
    except TypeError:
        raise wrong_kind(name, given, expected) from None


def given_text(value: Any, where: str) -> str:
    """One text, as a file gives it.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, str):
        raise wrong_kind(where, value, "text")
    return as_text(value, where)


def check_is_no_path(text: str, where: str, *, alone: bool) -> None:
    """See that a text is not the path of a file, which nobody means to be learned.

    Raises:
        InputError: it is.
    """
    if not text.strip() or len(text) > LONGEST_PATH:
        return
    path = Path(text)
    try:
        is_there = path.exists()
    except (OSError, ValueError):
        return
    is_named_so = alone and len(text.split()) == 1 and path.suffix.lower() in (*READERS, ".txt", ".md", ".gz", ".zst")
    if is_named_so or (is_there and (alone or path.suffix or os.sep in text)):
        shown = repr(text)
        raise InputError(
            f"{where} is the text {shown}",
            expected="no name of a file",
            fix=f'pathlib.Path({shown}) reads the file, and {{"text": {shown}}} is the name itself',
        )


def _fields(names: Iterable[Any]) -> str:
    shown = [name for name in names if isinstance(name, str)]
    return f"the fields {', '.join(shown[:20])}" if shown else "no field"


def _example(item: Any, number: int, name: str, options: ReadOptions) -> Example:
    where, document = f"{name}[{number}]", Document(name, str(number))
    if isinstance(item, Mapping):
        try:
            return _of_row(item, where, document, options)
        except InputError as error:  # without the option of the command line that it offers
            fix = "" if "--" in error.fix else error.fix
            raise type(error)(error.given, expected=error.expected, where=error.where, fix=fix) from None
    if isinstance(item, tuple):
        if len(item) != 2 or not all(isinstance(part, str) for part in item):
            kinds = ", ".join(describe(part) for part in item[:3])
            raise InputError(f"{where} is a tuple of {kinds or 'nothing'}", expected="a pair (prompt, completion)")
        prompt, completion = (given_text(part, where) for part in item)
        if not completion:
            raise InputError(f"pair {number} has no completion", where=name, fix="give it one, or leave the pair out")
        return Example(completion, replace(document, format=PAIR), prompt)
    if not isinstance(item, str):
        fix = "a pair is a tuple: (prompt, completion)" if isinstance(item, list) else ""
        raise wrong_kind(where, item, EXAMPLES, fix=fix)
    if number == 0:
        check_is_no_path(item, where, alone=False)
    return Example(given_text(item, where), document)


def _of_row(row: Mapping[Any, Any], where: str, document: Document, options: ReadOptions) -> Example:
    """What a row says: of a format of pairs, or in its text."""
    document = replace(document, label=label_of(row, options.label_field, where))
    if options.by_speaker and (spoken := dialogue_text(row, where)) is not None:
        return Example(as_text(spoken, where), document)
    written = written_row({key: value for key, value in row.items() if isinstance(key, str)}, where, options)
    if written is not None:
        return _of_document(written.text, replace(document, spans=written.spans, format=written.format))
    field = options.text_field
    if field not in row and field.split(".")[0] not in row:
        names = [name for name in row if isinstance(name, str)]
        close = nearest(field, names) or next((name for name in names if isinstance(row[name], str)), "NAME")
        fix = f"name the one that holds the text: text_field={close!r}; or give pairs (prompt, completion)"
        raise InputError(f"{where} is a row with {_fields(row)}", expected=f"the field {field!r}", fix=fix)
    text = text_of(dict(row), where, options)
    if text is None:
        raise NothingToLearnError(f"{field!r} is null", where=where)
    return Example(text, document)


def _of_document(text: str, document: Document) -> Example:
    """A document of a file, or a row as one; of a prompt and its completion the first is the prompt."""
    if document.format != PAIR or document.spans is None:
        return Example(text, document)
    ((start, _),) = document.spans
    return Example(text[start:], document.with_spans(None), text[:start])
