"""The base of every config: frozen, strict, documented. One class is the file, the command line and the argument.

What a run stored is read back under its schema version: a release may give a field another default, or bring new
fields, and the run goes on as before. A field that comes later says what that is, where its default is something else::

    looks_ahead: bool = Field(default=True, json_schema_extra={AS_BEFORE: False})
"""

import functools
import inspect
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from textwright.core.errors import InputError, nearest
from textwright.core.renamed import VALUES, new_key
from textwright.core.user_paths import read_text

SCHEMA_VERSION = 1
"""Of what runs store. It changes with the meaning or the name of a field, not with a new field or another default."""
SCHEMA_KEY = "schema_version"
RESOLVED = "resolved"
"""The table of a stored config for what followed from it."""
AS_BEFORE = "as_before"
"""What a later field means to runs that were stored without it, in ``json_schema_extra``."""
SHOWN_CHARACTERS = 200
"""Of a value that does not fit."""
_EXPECTED = {
    "model_type": "a table",
    "path_type": "a path",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
}
"""By the kind of a pydantic error, where its message says it worse."""


class Config(BaseModel):
    """A frozen set of named values. An unknown key, a wrong type or a non-finite number is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, protected_namespaces=()
    )

    def __init__(self, /, **values: Any) -> None:
        """
        Raises:
            InputError: a value that does not fit; see ``read_config``.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise explain(error, type(self), f"the arguments of {type(self).__name__}") from None

    # pydantic validates configs within configs by itself, so that an error there says where it is.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @model_validator(mode="before")
    @classmethod
    def _answer_old_names(cls, values: Any) -> Any:
        """Refuse what is called otherwise now, with its new name."""
        for key, value in values.items() if isinstance(values, Mapping) else ():
            new = new_key(key, cls.model_fields)
            now = VALUES.get(key, {}).get(value) if isinstance(value, str) else None
            if new is not None or (now is not None and key in cls.model_fields):
                old_value, new_value = (f" = {value!r}", f" = {now!r}") if now is not None else ("", "")
                names = {"old": f"{key}{old_value}", "new": f"{new or key}{new_value}"}
                raise PydanticCustomError("renamed", "{old} is now {new}", names)
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _tell_bools_from_numbers(cls, value: Any, info: Any) -> Any:
        """Refuse true and false where a number is meant, which pydantic takes for 1 and 0, and bytes for text."""
        if isinstance(value, bytes | bytearray):
            raise ValueError("text, not bytes")
        if (
            info.field_name is not None
            and _holds_bool(value)
            and _is_numeric(cls.model_fields[info.field_name].annotation)
        ):
            raise ValueError("a number, not true or false")
        return value


def _holds_bool(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    return any(map(_holds_bool, value)) if isinstance(value, list | tuple) else isinstance(value, bool)


def _is_numeric(annotation: Any) -> bool:
    """Whether a field holds numbers, and nothing that may be true or false."""
    kinds = set(_kinds(annotation))
    return bool(kinds & {int, float}) and not kinds & {bool, Any}


def _kinds(annotation: Any) -> Iterator[Any]:
    inner = get_args(annotation)
    if not inner:
        yield annotation
    for one in inner[:1] if get_origin(annotation) is Annotated else inner:
        yield from _kinds(one)


_QUOTED = re.compile("'([^']*)'")
C = TypeVar("C", bound=Config)
P = ParamSpec("P")
T = TypeVar("T")


def answers_old_names(function: Callable[P, T]) -> Callable[P, T]:
    """A function that answers an argument's old name with the new one.

    Raises:
        InputError: an argument is called otherwise now.
    """
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> T:
        for name in named:
            if (new := new_key(name, known)) is not None:
                raise InputError(f"{name} is now {new}", where=f"the arguments of {function.__name__}")
        return function(*arguments, **named)

    return call


def read_config(cls: type[C], values: Mapping[str, Any], where: str) -> C:
    """``cls`` made from plain values.

    Raises:
        InputError: the first value that does not fit, with the key, what was given and the nearest valid name.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        raise explain(error, cls, where) from None


def changed(config: C, values: Mapping[str, Any], where: str) -> C:
    """The config with some values changed, which are checked as all are.

    Raises:
        InputError: a value that does not fit, or does not go with the others.
    """
    return read_config(type(config), config.model_dump() | dict(values), where)


def check_schema_version(stored: Mapping[str, Any], what: str) -> None:
    """See that this release reads what was stored.

    Raises:
        InputError: it is of another schema version, by the name of the version that wrote it where that is known.
    """
    found = stored.get(SCHEMA_KEY)
    if found == SCHEMA_VERSION:
        return
    if found is None:
        raise InputError(
            f"{what} was written by textwright 0.1.0",
            expected=f"one with {SCHEMA_KEY} = {SCHEMA_VERSION}",
            fix="go on with it in textwright 0.1.0, or start a new run; its finished model, if any, loads as it is",
        )
    raise InputError(
        f"{what} has {SCHEMA_KEY} = {found!r}",
        expected=str(SCHEMA_VERSION),
        fix="use the version of textwright that wrote it, or start a new run",
    )


def read_stored(cls: type[C], values: Mapping[str, Any], where: str) -> C:
    """A config as it was when it was stored, whatever the defaults are today.

    Raises:
        InputError: as ``read_config``.
    """
    return read_config(cls, as_stored(cls, values), where)


def as_stored(cls: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Stored values, with what they lack as it was before there was a field for it.

    TOML has no null, so that what is None is not written: a field that may be None and is not there is None.
    """
    found = dict(values)
    for name, field in cls.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if isinstance(found.get(name, {}), Mapping):
                found[name] = as_stored(inner, found.get(name, {}))
        elif name not in found:
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            if AS_BEFORE in extra:
                found[name] = extra[AS_BEFORE]
            elif type(None) in get_args(inner):
                found[name] = None
    return found


def explain(error: ValidationError, cls: type[BaseModel], where: str) -> InputError:
    """A pydantic error as one line for a person."""
    found = error.errors()
    # What is missing may be there under a mistyped name.
    unknown = [one for one in found if one["type"] == "extra_forbidden"] if found[0]["type"] == "missing" else []
    first = (unknown or found)[0]
    # Of a list's value the list is named: the value is shown.
    path = first["loc"][:-1] if first["loc"] and isinstance(first["loc"][-1], int) else first["loc"]
    key = ".".join(str(part) for part in path)
    if first["type"] == "renamed":
        group = f"{key}." if key else ""
        return InputError(f"{group}{first['ctx']['old']} is now {group}{first['ctx']['new']}", where=where)
    if first["type"] == "extra_forbidden":
        known = list(_fields_at(cls, first["loc"][:-1]))
        name = str(first["loc"][-1])
        inside = [f"{group}.{name}" for group in known if name in _fields_at(cls, (*first["loc"][:-1], group))]
        close = inside[0] if inside else nearest(name, known)
        return InputError(
            f"unknown key {key!r}",
            where=where,
            expected=f"one of {', '.join(known)}",
            fix=f"did you mean {close!r}?" if close else "",
        )
    if first["type"] == "missing":
        return InputError(f"the key {key!r} is missing", where=where, fix=f"add {key}")
    message = expected_of(first)
    if not key:
        return InputError(message, where=where)
    return InputError(f"{key} = {_shown(first['input'])}", where=where, expected=message)


def expected_of(error: Mapping[str, Any]) -> str:
    """What a value should have been, and the nearest name where it is one of some.

    Args:
        error: one of a pydantic error's ``errors()``.
    """
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    message = _EXPECTED.get(error["type"], message)
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        close = nearest(error["input"], _QUOTED.findall(message))
        return f"{message}; did you mean {close!r}?" if close else message
    return message


def _shown(value: object) -> str:
    """A value as it is typed, but not all of what is long."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of very many digits
        return f"a very large {type(value).__name__}"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _fields_at(cls: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the (nested) config that ``path`` leads to."""
    for part in path:
        field = cls.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        cls = inner
    return list(cls.model_fields)


def read_toml(cls: type[C], path: Path) -> C:
    """A config from a TOML file. Raises InputError for a missing file, broken TOML or any value that does not fit."""
    return read_config(cls, read_toml_values(path), str(path))


def read_toml_values(path: Path) -> dict[str, Any]:
    """The plain values of a TOML file. Raises InputError for a file that cannot be read, or broken TOML."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid TOML: {error}", where=str(path)) from None


def to_toml(config: BaseModel | Mapping[str, Any]) -> str:
    """A config, or plain values, as TOML, nested ones as tables. None is left out, since TOML has no null."""
    lines: list[str] = []
    _write_table(config.model_dump(mode="json") if isinstance(config, BaseModel) else config, "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(values: Mapping[str, Any], name: str, lines: list[str]) -> None:
    tables = {key: value for key, value in values.items() if isinstance(value, dict)}
    if name:
        lines.append(f"\n[{name}]")
    for key, value in values.items():
        if value is not None and key not in tables:
            lines.append(f"{_toml_key(key)} = {_toml_value(value)}")
    for key, value in tables.items():
        _write_table(value, f"{name}.{_toml_key(key)}" if name else _toml_key(key), lines)


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(k)} = {_toml_value(v)}" for k, v in value.items() if v is not None) + "}"
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for the DEL character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
