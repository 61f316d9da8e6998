"""The base of every config: frozen, strict, documented. One class is the file, the command line and the argument."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from textwright.core.errors import InputError, nearest
from textwright.core.user_paths import read_text


class Config(BaseModel):
    """A frozen set of named values. An unknown key, a wrong type or a non-finite number is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, protected_namespaces=()
    )


C = TypeVar("C", bound=Config)


def read_config(cls: type[C], values: Mapping[str, Any], where: str) -> C:
    """``cls`` made from plain values.

    Raises:
        InputError: the first value that does not fit, with the key, what was given and the nearest valid name.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        raise explain(error, cls, where) from None


def explain(error: ValidationError, cls: type[BaseModel], where: str) -> InputError:
    """A pydantic error as one line for a person."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = list(_fields_at(cls, first["loc"][:-1]))
        close = nearest(str(first["loc"][-1]), known)
        return InputError(
            f"unknown key {key!r}",
            where=where,
            expected=f"one of {', '.join(known)}",
            fix=f"did you mean {close!r}?" if close else "",
        )
    if first["type"] == "missing":
        return InputError(f"the key {key!r} is missing", where=where, fix=f"add {key}")
    message = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == "model_type":
        message = "a table"
    if not key:
        return InputError(message, where=where)
    return InputError(f"{key} = {first['input']!r}", where=where, expected=message)


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


def to_toml(config: BaseModel) -> str:
    """The config as TOML, nested configs as tables. None is left out, since TOML has no null."""
    lines: list[str] = []
    _write_table(config.model_dump(mode="json"), "", lines)
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
    if isinstance(value, str):
        # TOML's basic strings are JSON's, but for the DEL character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
