"""The checker of calls under test: beartype, where it can follow the annotation."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

WITH_INT_AS_FLOAT = BeartypeConf(is_pep484_tower=True)


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its arguments and result checked at every call."""
    try:
        return beartype(conf=WITH_INT_AS_FLOAT)(function)
    except BeartypeDecorHintPep673Exception:
        return function  # a method that names Self: beartype wants to decorate its whole class
