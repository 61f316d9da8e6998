"""Paths that a user gave: whatever the system says of one is the user's to know, in one line."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from textwright.core.errors import InputError

_SHOWN_CHARACTERS = 80
_WORDS: dict[int, tuple[str, str]] = {
    errno.ENOENT: ("there is no file or folder {}", "check the path"),
    errno.ENOTDIR: ("{} leads through a file", "check the path"),
    errno.EISDIR: ("{} is a folder", "name a file"),
    errno.EACCES: ("{}: permission denied", "change its permissions, or choose another path"),
    errno.EPERM: ("{}: not permitted", "choose another path"),
    errno.EROFS: ("{} is on a disk that cannot be written", "choose another path"),
    errno.ENAMETOOLONG: ("the name {} is too long", "choose a shorter one"),
    errno.ELOOP: ("the links of {} lead in a circle", "check the path"),
    errno.EEXIST: ("{} is there already", "choose another path"),
    errno.ENOTEMPTY: ("{} is there already", "choose another path"),
    errno.ENXIO: ("{} is not a regular file", "name a file"),
    errno.ENODEV: ("{} is not a regular file", "name a file"),
    errno.ENOSPC: ("the disk is full: {}", "make room, or choose another path"),
    errno.EDQUOT: ("the disk's quota is used up: {}", "make room, or choose another path"),
    errno.EIO: ("the disk cannot read or write {}", "check the disk"),
}
"""What the system may say of a path, and what to do about it."""


def explain_os_error(error: OSError, path: Path | str | None = None) -> InputError | None:
    """The line for a person; None where it is about no path and about no disk: then it is a bug of ours.

    Args:
        error: what the system said.
        path: what the user gave; the error may be about a file within, or a temporary one beside.
    """
    name = path if path is not None else error.filename
    if error.errno is None or (
        not isinstance(name, str | bytes | os.PathLike) and error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    ):
        return None
    shown = os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else "what was to be written"
    if len(shown) > _SHOWN_CHARACTERS and error.errno == errno.ENAMETOOLONG:
        shown = f"{shown[: _SHOWN_CHARACTERS // 2]}...{shown[-_SHOWN_CHARACTERS // 2 :]}"
    words, fix = _WORDS.get(error.errno, (f"{{}}: {error.strerror}", "check the path"))
    return InputError(words.format(shown), fix=fix)


@contextlib.contextmanager
def given_path(path: Path | str) -> Iterator[None]:
    """Have what the system says of a path that a user gave raised as InputError.

    Args:
        path: what the user gave.
    """
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, path) or error from None
    except ValueError as error:
        if "null byte" not in str(error):
            raise
        raise InputError(f"the name {str(path)!r} holds a null byte", fix="check the path") from None


def read_text(path: Path) -> str:
    """The text of a file that a user named, without a byte order mark.

    Raises:
        InputError: it is not there, is no regular file (a FIFO or a device would be waited on for ever), may not be
            read, or is not UTF-8.
    """
    with given_path(path):
        try:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise InputError(f"{path} is not a regular file", fix="write its text to a file first")
            return path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"there is no file {path}", fix="check the path") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 at byte {error.start:,}", expected="UTF-8 text") from None


def folder_beside(path: Path) -> Path:
    """The folder that is there and in which ``path`` lies, or will once those between are made: on the same disk."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


def check_can_be_written(path: Path, *, is_file: bool = False) -> None:
    """See that something can be made at ``path``, before the work whose result is to go there.

    Args:
        path: where.
        is_file: whether it will be a file, in a folder that is there. Otherwise it is a folder, with those above it.

    Raises:
        InputError: it cannot: a file without a name was tried.
    """
    with given_path(path):
        with contextlib.suppress(FileNotFoundError):
            mode = path.stat().st_mode  # or a name that is too long, or a path through a file
            if is_file and stat.S_ISDIR(mode):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            if is_file and not stat.S_ISREG(mode):
                raise InputError(f"{path} is not a regular file", fix="choose another path")
        above = path.absolute().parent
        if is_file and not above.exists():
            raise InputError(f"there is no folder {path.parent}", fix="make it first, or choose another path")
        while not above.exists():
            above = above.parent
        with tempfile.TemporaryFile(dir=above):  # permissions say nothing to root, nor of /proc
            pass


def check_is_new(folder: Path) -> None:
    """See that a folder can be made, before the work whose result is to go there.

    Raises:
        InputError: something is there already, or it cannot be.
    """
    with given_path(folder):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} is there already", fix="choose another path, or delete it first")
    check_can_be_written(folder)
