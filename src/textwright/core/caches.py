"""Where things are kept between runs that can be made again."""

import hashlib
import os
import re
from functools import cache
from importlib.metadata import version
from pathlib import Path

from textwright.core.kernel_build import KERNEL_BUILD

_PACKAGE = Path(__file__).parents[1]
_IMPORTED = re.compile(rb"^from textwright\.(?!core\b)([\w.]+) import ", re.MULTILINE)


def cache_folder() -> Path:
    """A folder of this user's: ``textwright`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "textwright"


def keep_compiled_code() -> None:
    """See that what torch.compile makes is kept in a folder that only this user can write.

    torch's own choice is a folder with a well-known name in the system's temporary folder. What lies there is loaded as
    code, and it is gone after a restart. Where the user chose a folder, or has no home that can be written, nothing is
    changed.
    """
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    folder = cache_folder() / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except (OSError, RuntimeError):
        return
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


def keep_kernels() -> bool:
    """See that Numba keeps what it compiles of textwright's functions in ``kernel_folder``; false where that cannot be.
    It comes before they are told to be compiled."""
    from textwright.core.kernel_locator import register

    register()
    return keeps_kernels()


def is_ours(source: Path) -> bool:
    """Whether a file is one of textwright's."""
    return _PACKAGE in source.parents


def kernel_folder(source: Path) -> Path:
    """Where what is compiled of a file is kept: a folder for each state of it, and of what it imports.

    So it lasts where textwright is installed anew, in another place or in a release that changed other kernels. Numba
    by itself knows a file by its path, and compiles a function anew when its own file has changed, and not when one
    that it calls has.

    Args:
        source: one of textwright's with functions that are compiled.
    """
    told = f"{_sources_sha256(source)} {KERNEL_BUILD.checks_bounds} {version('numba')} {version('llvmlite')}"
    return cache_folder() / "kernels" / f"{source.stem}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


@cache
def _sources_sha256(source: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_imported(source)))).hexdigest()


def _imported(source: Path) -> set[Path]:
    """A file, and what it imports of textwright's, and what that does; but for ``core``: nothing of it is compiled."""
    found, left = set[Path](), [source]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            modules = (_PACKAGE.joinpath(*name.decode().split(".")) for name in _IMPORTED.findall(path.read_bytes()))
            left += [file for base in modules for file in _files_of(base) if file.is_file()]
    return found


def _files_of(base: Path) -> tuple[Path, Path]:
    return base.with_suffix(".py"), base / "__init__.py"


@cache
def keeps_kernels() -> bool:
    """Whether compiled kernels can be kept: in a folder that only this user can write, which is made."""
    folder = cache_folder() / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except (OSError, RuntimeError):
        return False
    return True
