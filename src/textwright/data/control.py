"""Control codes: a line before each text says what it is (its genre, label, keywords), and is read, not learned.

::

    {"text": "It was a dark night.", "genre": "horror"}      [genre: horror]
                                                             It was a dark night.

Who then asks for ``horror`` has that line put before the prompt.

Source: Keskar et al. 2019, "CTRL: a conditional transformer language model for controllable generation",
arXiv:1909.05858, section 3: each text follows its code. There the code is a word of the vocabulary and learned with the
text; here it is text in a line of its own, and not learned.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from textwright.core.config import Config
from textwright.core.errors import InputError, nearest
from textwright.data.examples import Example

FOLDER = "folder"
"""As a field: the name of the folder that a text's file lies in."""
VALUE = "{value}"
"""Where the value stands in a form."""
MOST_VALUES = 1000
"""Of more different ones none is kept, and any may be asked for."""
SHOWN_VALUES = 12


def _has_one_value(form: str) -> str:
    if form.count(VALUE) != 1 or not form.endswith("\n"):
        raise ValueError(f"a line with {VALUE} in it once, and its end")
    return form


Form = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_has_one_value)]


class ControlCodes(Config):
    """What a model was told of its texts, and how."""

    field: str
    """The field that the values are of, or ``folder``."""
    form: Form
    """The line before a text, with ``{value}`` where the value stands."""
    values: tuple[str, ...] = ()
    """Those that the model has seen, by the alphabet; none where any may be asked for, as with keywords."""

    def header(self, value: str) -> str:
        """The line for a value, which is put on one line itself."""
        return self.form.replace(VALUE, " ".join(value.split()))

    def check(self, value: str) -> None:
        """See that the model has seen a value, where it knows which it has.

        Raises:
            InputError: it has not, or there is nothing in it.
        """
        value = " ".join(value.split())
        if not value:
            raise InputError(f"no value for {self.field!r}", expected=self._shown or "a text")
        if self.values and value not in self.values:
            close = nearest_value(value, self.values)
            fix = f"did you mean {close!r}?" if close is not None else ""
            raise InputError(f"{self.field!r} was never {value!r}", expected=self._shown, fix=fix)

    @property
    def _shown(self) -> str:
        if not self.values:
            return ""
        return f"one of {', '.join(self.values[:SHOWN_VALUES])}{', ...' if len(self.values) > SHOWN_VALUES else ''}"


def form_for(field: str) -> str:
    """The line for a field: ``[genre: {value}]``; of a field in others, such as ``data.genre``, the last name."""
    return f"[{field.rpartition('.')[2]}: {VALUE}]\n"


def nearest_value(value: str, values: Sequence[str]) -> str | None:
    """The closest of some values, small and capital letters alike; None where none is close."""
    folded = {one.casefold(): one for one in values}
    close = nearest(value.casefold(), folded)
    return folded[close] if close is not None else None


class ValuesSeen:
    """Which values a field has in some examples.

    Args:
        field: its name, or ``folder``.
        known: what was found in others, where these must have no other values: those that are validated on.
    """

    def __init__(self, field: str, known: ControlCodes | None = None) -> None:
        self._field, self._known = field, known
        self._form = form_for(field) if known is None else known.form
        self._values: set[str] = set()
        self._is_free = False
        self._folders: dict[str, str] = {}

    def with_control(self, example: Example) -> Example:
        """An example with the line for its value before it: read first, and not learned.

        Raises:
            InputError: it has no value, or one that is not known.
        """
        value = self._value_of(example)
        if self._known is not None:
            self._known.check(value)
        elif not self._is_free:
            self._values.add(value)
            self._is_free = len(self._values) > MOST_VALUES
        return replace(example, header=self._form.replace(VALUE, value))

    def codes(self) -> ControlCodes:
        """What was found, once all examples have been gone through."""
        if self._known is not None:
            return self._known
        values = () if self._is_free else tuple(sorted(self._values))
        return ControlCodes(field=self._field, form=self._form, values=values)

    def _value_of(self, example: Example) -> str:
        document = example.document
        if self._field == FOLDER:
            if document.source not in self._folders:
                self._folders[document.source] = _folder_of(document.source)
            return self._folders[document.source]
        if document.label is None:
            name = f"text {document.id}" if document.id is not None else "a text"
            raise InputError(
                f"{name} has no field {self._field!r}",
                where=document.source,
                expected="rows with that field beside the text",
                fix="give JSON lines or a table; --control folder takes the names of the files' folders",
            )
        if isinstance(document.label, tuple):
            self._is_free = True
            return ", ".join(document.label)
        return " ".join(str(document.label).split())


def _folder_of(source: str) -> str:
    path = Path(source).absolute()
    if not path.is_file() or not path.parent.name:
        raise InputError(f"{source} is no file in a folder", expected="such, for --control folder")
    return " ".join(path.parent.name.split())
