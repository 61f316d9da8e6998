"""A function that names kinds in its annotations refuses others in one line, and lets the rest through."""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from textwright.core.errors import InputError
from textwright.core.kinds import checks_kinds, describe


@checks_kinds
def take(
    path: Path | str = "x",
    *more: int,
    whole: int | None = None,
    number: float = 0.5,
    flag: bool = False,
    name: Literal["error", "replace"] = "error",
    later: "Later | None" = None,
    table: Mapping[str, float] | None = None,
    function: Callable[[int], None] | None = None,
    several: Iterable[str] = (),
    anything: Any = None,
    **others: int,
) -> dict[str, Any]:
    return dict(locals())


class Later:
    """Comes after the function that names it."""


class Place:
    """A path of another library."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __fspath__(self) -> str:
        return self.name


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("whole", 3, 3),
        ("whole", None, None),
        ("whole", np.int64(3), 3),
        ("whole", 1e3, 1000),
        ("number", 3, 3.0),
        ("number", np.float32(0.5), 0.5),
        ("number", Fraction(1, 2), 0.5),
        ("flag", True, True),
        ("name", "replace", "replace"),
        ("table", {"a": 1}, {"a": 1.0}),
        ("function", len, len),
        ("several", 3, 3),  # for the function to look at
        ("anything", b"x", b"x"),
    ],
)
def test_what_fits_is_handed_on_as_pythons_own(name: str, value: object, taken: object) -> None:
    found = take(**{name: value})  # type: ignore[arg-type]
    assert found[name] == taken
    assert type(found[name]) is type(taken)


def test_paths_objects_and_what_is_not_named_are_handed_on_as_they_are() -> None:
    for path in ("a", Path("a"), Place("a")):
        assert take(path)["path"] is path  # type: ignore[arg-type]
    later = Later()
    assert take(later=later)["later"] is later
    assert take(more_of_them="x")["others"] == {"more_of_them": "x"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("path", None, "path is None; in the arguments of take; expected a path"),
        ("path", b"x", "path is a bytes; in the arguments of take; expected a path"),
        ("path", "", "path is ''; in the arguments of take; expected a path"),
        ("path", Place(""), "path is a Place; in the arguments of take; expected a path"),
        ("path", "\ud800", r"path is '\ud800'; in the arguments of take; expected a path"),
        ("whole", True, "whole is True; in the arguments of take; expected a whole number or None"),
        ("whole", 0.5, "whole is 0.5; in the arguments of take; expected a whole number or None"),
        ("whole", float("inf"), "whole is inf; in the arguments of take; expected a whole number or None"),
        ("whole", "3", "whole is '3'; in the arguments of take; expected a whole number or None"),
        ("number", False, "number is False; in the arguments of take; expected a number"),
        ("number", 10**400, "number is an int; in the arguments of take; expected a number"),
        ("flag", 1, "flag is 1; in the arguments of take; expected True or False"),
        ("name", "ignore", "name is 'ignore'; in the arguments of take; expected 'error' or 'replace'"),
        ("name", ["error"], "name is a list; in the arguments of take; expected 'error' or 'replace'"),
        ("later", Later, "later is a class Later; in the arguments of take; expected a Later or None"),
        (
            "table",
            {"a": "1"},
            "table is a dict; in the arguments of take; expected a dict of text and a number or None",
        ),
        ("table", {1: 1.0}, "table is a dict; in the arguments of take; expected a dict of text and a number or None"),
        ("function", "len", "function is 'len'; in the arguments of take; expected a function or None"),
    ],
)
def test_what_does_not_fit_is_one_line(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        take(**{name: value})  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_missing_and_unknown_arguments_are_pythons_to_refuse() -> None:
    @checks_kinds
    def needs(one: int) -> int:
        return one

    assert needs.__name__ == "needs"
    with pytest.raises(TypeError):
        needs()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        needs(1, two=2)  # type: ignore[call-arg]


def test_a_large_thing_is_told_by_its_kind_alone() -> None:
    assert describe("x" * 1000) == repr("x" * 40 + "...")
    assert describe(list(range(1000))) == "a list"
    assert describe(10**5000) == "an int"
    assert describe(Path("a/b")) == "'a/b'"
