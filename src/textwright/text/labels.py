"""What a row says of its text: the value of one of its fields."""

from collections.abc import Mapping
from typing import Any

from textwright.core.errors import InputError, nearest

Label = str | tuple[str, ...]
"""A value, or several of a list."""
SHOWN_FIELDS = 12


def label_of(row: Any, field: str | None, where: str) -> Label | None:
    """The value of a row's field as text, on one line; several where it is a list of texts. None: none was asked for.

    Args:
        row: an object with fields.
        field: by its name, or by its way: ``data.genre`` is the field ``genre`` of the object ``data``.
        where: the row, for messages.

    Raises:
        InputError: no such field, nothing in it, or neither a text, nor a number, nor a list of texts.
    """
    if field is None:
        return None
    value = row
    for name in [field] if isinstance(row, Mapping) and field in row else field.split("."):
        if not isinstance(value, Mapping) or name not in value:
            raise _no_field(field, row, where)
        value = value[name]
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        found = tuple(line for one in value if (line := " ".join(one.split())))
        if found:
            return found
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float) and (line := " ".join(str(value).split())):
        return line
    is_empty = isinstance(value, str) or value in ([], {})
    given = "null" if value is None else "empty" if is_empty else type(value).__name__
    raise InputError(
        f"{field!r} is {given}",
        where=where,
        expected="a text, a number or a list of texts",
        fix="leave such rows out, or give them a value",
    )


def _no_field(field: str, row: Any, where: str) -> InputError:
    names = [name for name in row if isinstance(name, str)] if isinstance(row, Mapping) else []
    shown = ", ".join(names[:SHOWN_FIELDS]) + (", ..." if len(names) > SHOWN_FIELDS else "")
    close = nearest(field, names)
    fix = f"did you mean {close!r}?" if close is not None else ""
    return InputError(f"no field {field!r}", where=where, expected=f"one of {shown}" if shown else "fields", fix=fix)
