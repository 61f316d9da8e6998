"""Python's collector of garbage, out of the way of what makes many objects that all stay."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no garbage inside the block: a large import or a table of tokens would be looked through dozens of times
    while it grows, for nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
