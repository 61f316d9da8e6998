"""Where Numba keeps what it compiles of our kernels: found by what their sources say, wherever they are installed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import CacheImpl, _CacheLocator

from textwright.core.caches import is_ours, kernel_folder


class KernelLocator(_CacheLocator):  # type: ignore[misc]
    """Of a kernel; Numba asks for one before its own kinds."""

    def __init__(self, source: Path, line: int) -> None:
        self._py_file, self._line = str(source), line  # Numba's own messages read the file's name

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "KernelLocator | None":
        """One for a function of ours; None for any other, which Numba keeps as it would without us."""
        source = Path(py_file)
        return cls(source, py_func.__code__.co_firstlineno) if is_ours(source) else None

    def get_cache_path(self) -> str:
        """The folder."""
        return str(kernel_folder(Path(self._py_file)))

    def get_source_stamp(self) -> str:
        """Nothing: the folder has a name of its own for each state of the sources."""
        return ""

    def get_disambiguator(self) -> str:
        """What tells functions of one name in one file apart."""
        return str(self._line)


def register() -> None:
    """Have Numba ask ``KernelLocator`` first."""
    if KernelLocator not in CacheImpl._locator_classes:
        CacheImpl._locator_classes.insert(0, KernelLocator)
