"""The files of text at paths, and what they hold as one hash."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from textwright.core.errors import InputError
from textwright.core.files import sha256_file
from textwright.core.user_paths import given_path

# fmt: off
BINARY = frozenset((
    ".7z", ".a", ".bin", ".bmp", ".bz2", ".class", ".dll", ".dylib", ".egg", ".exe", ".gif", ".ico", ".idx",
    ".jar", ".jpeg", ".jpg", ".mo", ".mp3", ".mp4", ".npy", ".npz", ".o", ".ogg", ".pdf", ".pkl", ".png",
    ".pt", ".pyc", ".pyd", ".pyo", ".safetensors", ".so", ".split", ".sqlite", ".tar", ".tgz", ".tif", ".tiff",
    ".ttf", ".wav", ".webp", ".whl", ".woff", ".woff2", ".xz", ".zip", ".split",
))
# fmt: on
"""In a folder only what is likely text is read; a file that is named is read whatever it is called."""


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files of text at ``paths``: files as named, folders searched through in sorted order.

    Links to folders are not followed, hidden files and those of binary formats are left out. A pipe is read where it
    was handed over open.

    Raises:
        InputError: a path that is not there, is neither file nor folder, or a folder without text.
    """
    if not paths:
        raise InputError("no text", expected="at least one file or folder")
    files: list[Path] = []
    for path in paths:
        with given_path(path):
            files += _files_at(path)
    return files


def _files_at(path: Path) -> list[Path]:
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) or (stat.S_ISFIFO(mode) and is_descriptor(path)):
        return [path]
    if not stat.S_ISDIR(mode):
        raise InputError(f"{path} is not a regular file", expected="a file or a folder")
    found = [file for file in _walk(path) if file.suffix.lower() not in BINARY and _is_regular(file)]
    if not found:
        raise InputError(f"no text in the folder {path}", expected="files such as .txt, .md, .jsonl or .csv")
    return found


def is_descriptor(path: Path) -> bool:
    """Whether a path is a file that this process was given open, as a shell's ``<(command)`` or ``/dev/stdin``.

    A pipe that is one has a writer, and is read once. One with a name of its own might be waited on for ever.
    """
    return path == Path("/dev/stdin") or path.parent in (Path("/dev/fd"), Path("/proc/self/fd"))


def combine_hashes(hashes: Sequence[str]) -> str:
    """The fingerprint of files, from the SHA-256 of each."""
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 over the hashes of the files at ``paths``: the same bytes in the same order, the same fingerprint.

    Raises:
        InputError: as ``find_files``, or a file that cannot be read.
    """
    hashes = []
    for path in find_files(paths):
        with given_path(path):
            hashes.append(sha256_file(path))
    return combine_hashes(hashes)


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        yield from (Path(root, name) for name in sorted(names) if not name.startswith("."))


def _refuse(error: OSError) -> None:
    # Left out in silence, a folder's text would be missed by nobody until the model does not know of it.
    with given_path(Path(os.fsdecode(error.filename))):
        raise error


def _is_regular(path: Path) -> bool:
    # A FIFO or a device would be waited on for ever.
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False
