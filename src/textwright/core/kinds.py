"""What kind of thing an argument is: a function that is handed another kind than it takes says so in one line.

Annotations tell what a function takes, so that nothing is said twice::

    @checks_kinds
    def save(self, folder: Path | str, *, dtype: str = "float32") -> None: ...

    save(None)   InputError: folder is None; in the arguments of save; expected a path
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from textwright.core.errors import InputError

P = ParamSpec("P")
T = TypeVar("T")

SHOWN_CHARACTERS = 40
_WORDS: dict[Any, str] = {
    NoneType: "None",
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    Any: "anything",
    str: "text",
    Path: "a path",
    Callable: "a function",
    Mapping: "a dict",
}
_NO = object()


def checks_kinds(function: Callable[P, T]) -> Callable[P, T]:
    """A function whose arguments are of the kinds that its annotations name.

    Looked at are classes, numbers, texts, paths, functions, names of a ``Literal``, None, and both sides of a
    ``Mapping``. What else an annotation names is for the function itself to look at. A bool is no number; a number of
    another library is handed on as Python's own.

    Raises:
        InputError: an argument is of another kind.
    """
    signature = inspect.signature(function)
    where = f"the arguments of {function.__qualname__.removesuffix('.__init__').rpartition('.')[2]}"

    @functools.cache
    def hints() -> dict[str, Any]:  # not before the first call: an annotation may name a class that is still to come
        found = get_type_hints(function)
        return {name: found[name] for name, one in signature.parameters.items() if name in found and one.kind in _ONE}

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> T:
        bound = signature.bind(*arguments, **named)
        for name, value in bound.arguments.items():
            if name in hints():
                bound.arguments[name] = _read(value, hints()[name], name, where)
        return function(*bound.args, **bound.kwargs)

    return call


_ONE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_ONLY)
"""Parameters that are one argument."""


def wrong_kind(name: str, value: object, expected: str, *, where: str = "", fix: str = "") -> InputError:
    """The error for a value of another kind than is expected.

    Args:
        name: what it was given as.
        value: the value; of what may be large or foreign only the kind is told.
        expected: as ``InputError``.
        where: as ``InputError``.
        fix: as ``InputError``.
    """
    return InputError(f"{name} is {describe(value)}", expected=expected, where=where, fix=fix)


def describe(value: object) -> str:
    """A value, where it is short and plain; else what kind of thing it is: ``None``, ``'cpu'``, ``3``, ``a list``."""
    if value is None or isinstance(value, bool | float):
        return str(value)
    if isinstance(value, int) and value.bit_length() <= 64:
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}...")
    if isinstance(value, PurePath):
        return repr(str(value))
    return _with_article(f"class {value.__name__}" if isinstance(value, type) else type(value).__name__)


def is_number(value: object) -> bool:
    """Whether it is a whole number, Python's or another library's; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _read(value: Any, expected: Any, name: str, where: str) -> Any:
    """The value as one of the kinds that an annotation names."""
    kinds = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)
    is_path = Path in kinds
    for kind in kinds:
        found = _as_path(value) if is_path and kind in (Path, str) else _as(value, kind)
        if found is not _NO:
            return found
    raise wrong_kind(name, value, words_of(expected), where=where)


def words_of(expected: Any) -> str:
    """What an annotation names, in words: ``a whole number or 'auto'``."""
    kinds = get_args(expected) if get_origin(expected) in (Union, UnionType) else (expected,)
    return " or ".join(dict.fromkeys(_words(kind) for kind in kinds if not (Path in kinds and kind is str)))


def _as_path(value: Any) -> Any:
    if not isinstance(value, str | os.PathLike):
        return _NO
    try:
        name = os.fsencode(value)
    except UnicodeEncodeError:
        return _NO
    return value if name else _NO  # an empty one would be the folder that the program happens to run in


def _as(value: Any, kind: Any) -> Any:
    """The value as this kind; ``_NO`` where it is none."""
    if kind is Any:
        return value
    if kind is bool:
        return value if isinstance(value, bool) else _NO
    if kind is int:
        is_whole = is_number(value) or (isinstance(value, float) and value.is_integer())
        return int(value) if is_whole else _NO
    if kind is float:
        return _as_float(value)
    origin = get_origin(kind) or kind
    if origin is Literal:
        return value if isinstance(value, str) and value in get_args(kind) else _NO
    if origin is Callable:
        return value if callable(value) else _NO
    if origin is Mapping:
        return _as_mapping(value, get_args(kind))
    if isinstance(origin, type) and get_origin(kind) is None:
        return value if isinstance(value, origin) else _NO
    return value


def _as_float(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        return _NO
    try:
        return float(value)
    except OverflowError:
        return _NO


def _as_mapping(value: Any, kinds: tuple[Any, ...]) -> Any:
    if not isinstance(value, Mapping):
        return _NO
    found = {_as(key, kinds[0]): _as(inner, kinds[1]) for key, inner in value.items()} if kinds else dict(value)
    return _NO if _NO in found or any(inner is _NO for inner in found.values()) else found


def _words(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if origin is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if origin is Mapping and get_args(kind):
        return f"a dict of {' and '.join(_words(inner) for inner in get_args(kind))}"
    return _WORDS.get(origin) or _with_article(getattr(origin, "__name__", str(origin)))


def _with_article(name: str) -> str:
    return f"{'an' if name[:1].lower() in ('a', 'e', 'i', 'o') else 'a'} {name}"
