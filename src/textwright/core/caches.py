"""Where things are kept between runs that can be made again."""

import hashlib
import os
from functools import cache
from pathlib import Path

from textwright.core.kernel_build import KERNEL_BUILD


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


def kernel_folder(*sources: Path) -> Path:
    """Where compiled kernels are kept: a folder for each build, each state of their sources, and each place of them.

    Numba compiles a function anew when its own file has changed, and not when one that it calls has; and it knows a
    file by its path, so another installation compiles its own.

    Args:
        sources: the folder of the kernels' sources, and those of what they call.
    """
    folders = list(dict.fromkeys(sources))
    contents = b"".join(path.read_bytes() for folder in folders for path in sorted(folder.glob("*.py")))
    contents += b"checks bounds" if KERNEL_BUILD.checks_bounds else b""
    return cache_folder() / "kernels" / hashlib.sha256(os.fsencode(folders[0].resolve()) + contents).hexdigest()[:16]


def keep_kernels(*sources: Path) -> bool:
    """See that Numba keeps what it is told to compile next in ``kernel_folder``; false where that cannot be.

    Args:
        sources: see there. Each folder of kernels has its own, so this comes before each of their functions.
    """
    import numba

    folder = _made_kernel_folder(*sources)
    if folder is None:
        return False
    numba.config.CACHE_DIR = str(folder)
    return True


@cache
def _made_kernel_folder(*sources: Path) -> Path | None:
    folder = kernel_folder(*sources)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except (OSError, RuntimeError):
        return None
    return folder
