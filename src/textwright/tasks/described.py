"""A task that a TOML file describes, without code::

    fields = ["title", "label"]                       of the rows: names, or a table's columns in their order
    prompt = "{title}\\nLabel:"
    completion = " {label}"
    options = ["sports", "business"]
    metrics = ["accuracy", "f1"]

A template holds names of fields in braces, and nothing else in them; ``{{`` and ``}}`` are braces.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from textwright.core.config import Config, read_toml
from textwright.core.errors import InputError, nearest
from textwright.tasks.base import Example, Task
from textwright.tasks.rows import Row, read_rows

_PARTS = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_DOUBLED = {"{{": "{", "}}": "}"}


class TaskFile(Config):
    """What a file says of a task."""

    summary: str = ""
    """One line, for lists."""
    fields: tuple[str, ...] = Field(min_length=1)
    """The fields of a row that are used; data.text is one in another. Of a table without a header: its columns."""
    prompt: str = Field(min_length=1)
    """A template of what a model is given."""
    completion: str = Field(min_length=1)
    """A template of what it is to write, from its first character, a space perhaps, to its last."""
    references: tuple[str, ...] = ()
    """Fields that are good answers, each a text or a list of texts; the completion when not given."""
    source: str = ""
    """A template of what an encoder reads and a copying baseline gives."""
    options: tuple[str, ...] = ()
    """Where an answer is chosen: all that the one field of the completion may hold."""
    metrics: tuple[str, ...] = Field(min_length=1)
    """Names of metrics, the one that matters first."""
    stop: tuple[str, ...] = ("\n",)
    """Texts that end an answer."""
    regex: str | None = None
    """What an answer must be, a space at its beginning counted."""
    json_schema: dict[str, Any] | None = None
    """Likewise, as a JSON schema."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Of an answer."""
    baseline: str = "majority"
    """What answers without a model: majority, copy, lead or ngram."""


class Template:
    """A text with fields to be put in.

    Args:
        text: as a file has it.
        name: what it is, for messages.
        fields: that there are.
        where: the file.

    Raises:
        InputError: something else than a field's name in braces, or a brace alone.
    """

    def __init__(self, text: str, name: str, fields: Sequence[str], where: str) -> None:
        self._parts = list[tuple[str, bool]]()
        place = 0
        for part in _PARTS.finditer(text):
            self._parts.append((text[place : part.start()], False))
            if part[1] is None and part[0] not in _DOUBLED:
                raise InputError(
                    f"a single {part[0]!r} in {name}", where=where, fix=f"a brace is written {part[0] * 2}"
                )
            if part[1] is not None:
                _check_field(part[1], name, fields, where)
            self._parts.append((_DOUBLED[part[0]], False) if part[1] is None else (part[1], True))
            place = part.end()
        self._parts.append((text[place:], False))

    @property
    def fields(self) -> list[str]:
        """Those that are put in."""
        return [text for text, is_field in self._parts if is_field]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with the values of its fields."""
        return "".join(values[text] if is_field else text for text, is_field in self._parts)


class DescribedTask(Task):
    """A task as a file describes it.

    Args:
        given: what the file says.
        path: the file; its name is the task's.

    Raises:
        InputError: a field that is not among the fields, or settings that do not go together.
    """

    def __init__(self, given: TaskFile, path: Path) -> None:
        where = str(path)
        self.name, self.summary, self.metrics = path.stem, given.summary or f"as {path.name} says", given.metrics
        self.max_new_tokens, self.stop, self.baseline = given.max_new_tokens, given.stop, given.baseline
        self.regex, self.json_schema = given.regex, given.json_schema
        self._fields, self._references, self._options = given.fields, given.references, given.options
        self._prompt, self._completion, self._source = (
            Template(getattr(given, name), name, given.fields, where) for name in ("prompt", "completion", "source")
        )
        for field in given.references:
            _check_field(field, "references", given.fields, where)
        if given.prompt.endswith(" "):
            fix = "let the completion begin with it: words are cut into tokens with the space before them"
            raise InputError("the prompt ends with a space", where=where, fix=fix)
        constraints = [name for name in ("options", "regex", "json_schema") if getattr(given, name)]
        if len(constraints) > 1:
            raise InputError(f"{' and '.join(constraints)}", where=where, expected="one of them")
        if given.options and len(self._completion.fields) != 1:
            raise InputError(
                f"options with {len(self._completion.fields)} fields in completion", where=where, expected="one field"
            )

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        """An example a row."""
        for row in read_rows(paths, [self._fields]):
            values = {field: self._value(row, field) for field in self._fields}
            completion = self._completion.fill(values)
            references = tuple(text for field in self._references for text in row.texts(field) if text)
            yield Example(
                self._prompt.fill(values),
                completion,
                references or (completion.strip(),),
                options=self._options_for(values, row),
                source=self._source.fill(values),
                id=row.id,
            )

    def _value(self, row: Row, field: str) -> str:
        """A field as it is put into a template; of several references the first is learned."""
        return row.texts(field)[0] if field in self._references else row.text(field)

    def _options_for(self, values: Mapping[str, str], row: Row) -> tuple[str, ...]:
        if not self._options:
            return ()
        (field,) = self._completion.fields
        if values[field] not in self._options:
            close = nearest(values[field], self._options)
            raise InputError(
                f"{field} = {values[field]!r}",
                where=row.where,
                expected=f"one of the options {', '.join(self._options[:12])}",
                fix=f"did you mean {close!r}?" if close else "",
            )
        return tuple(self._completion.fill({field: option}) for option in self._options)


def read_described(path: Path) -> DescribedTask:
    """The task of a TOML file.

    Raises:
        InputError: it cannot be read, or a key or a value does not fit, with the nearest that does.
    """
    return DescribedTask(read_toml(TaskFile, path), path)


def _check_field(name: str, template: str, fields: Sequence[str], where: str) -> None:
    if name not in fields:
        close = nearest(name, fields)
        raise InputError(
            f"unknown field {name!r} in {template}",
            where=where,
            expected=f"one of {', '.join(fields)}",
            fix=f"did you mean {close!r}?" if close else "",
        )
