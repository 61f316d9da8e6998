"""The checker of calls under test: beartype, and jaxtyping's shapes where a function has any.

To check every call took half of the time of all tests, most of it for functions that a test calls thousands of times in
the same way. So of each function a test has the first calls checked, and some of those that come after.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_args

import jaxtyping
import torch
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

# Ints are floats; what is refused is a TypeError, as it would be where the value is used.
CONF = BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError)
within_jaxtyping = jaxtyping.jaxtyped
FIRST_CALLS, EVERY = 10, 100
"""Of each function in each test: so many calls are checked, and one of so many afterwards."""


class Calls:
    """What is counted anew in each test."""

    test = 0


def begin_test() -> None:
    """Have the first calls checked again."""
    Calls.test += 1


def install() -> None:
    """Have calls checked, of all that is imported of textwright from here on.

    jaxtyping's decorator, as its hook has it, binds the arguments of each call to the signature and checks them twice;
    with few functions having shapes, that was a third of the time of most tests.
    """
    jaxtyping.jaxtyped = lambda typechecker: typechecker
    jaxtyping.install_import_hook("textwright", f"{__name__}.checked")


def checked(item: Any) -> Any:
    """The function with its arguments and result checked; a dataclass with its fields."""
    if not isinstance(item, type):
        return now_and_then(item)
    if dataclasses.is_dataclass(item) and "__init__" in vars(item):
        item.__init__ = now_and_then(item.__init__)  # type: ignore[misc]
    return item


def now_and_then(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, checked at the first calls of each test and at some later ones."""
    with_checks, test, num_calls = checked_function(function), -1, 0

    @functools.wraps(function)
    def sampled(*args: Any, **kwargs: Any) -> Any:
        nonlocal test, num_calls
        if torch.compiler.is_dynamo_compiling():
            return function(*args, **kwargs)  # what is compiled must not depend on a count
        if test != Calls.test:
            test, num_calls = Calls.test, 0
        num_calls += 1
        if num_calls <= FIRST_CALLS or num_calls % EVERY == 0:
            return with_checks(*args, **kwargs)
        return function(*args, **kwargs)

    return sampled


def checked_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """By beartype alone, or within jaxtyping, where the name of a size means one size in all of a call."""
    annotations = list(function.__annotations__.values())
    if inspect.isgeneratorfunction(function) or any(isinstance(annotation, str) for annotation in annotations):
        # beartype alone checks a generator when it is begun, and refuses a text that names what only types import.
        found: Callable[..., Any] = within_jaxtyping(function, typechecker=with_beartype)
        return found
    found = with_beartype(function)
    return within_jaxtyping(found, typechecker=None) if has_shapes(annotations) else found


def with_beartype(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where it can follow the annotations."""
    try:
        return beartype(conf=CONF)(function)
    except BeartypeDecorHintPep673Exception:
        return function  # a method that names Self: beartype wants to decorate its whole class


def has_shapes(annotation: Any) -> bool:
    """Whether a shape stands in an annotation, or in one of a list of them."""
    if isinstance(annotation, list):
        return any(map(has_shapes, annotation))
    is_shape = isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray)
    return is_shape or has_shapes(list(get_args(annotation)))
