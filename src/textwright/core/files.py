"""Files that are whole or not there: atomic writes, hashes, a lock that its owner's death frees."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from textwright.core.errors import InputError

TEMPORARY = ".tmp"
"""How the names of half-written things end; they begin with a dot."""
LOOK_S = 1.0
"""For so long a lock waits for those who only look whether it is held."""


def write_atomically(path: Path, data: bytes | str, *, is_private: bool = False) -> None:
    """Write a file so that a reader sees the old content or the new, never a part. Synced to disk.

    Args:
        path: where.
        data: its whole content.
        is_private: whether only its owner may read it.
    """
    with atomic_file(path, is_private=is_private) as file:
        file.write(data.encode("utf-8") if isinstance(data, str) else data)


@contextlib.contextmanager
def atomic_file(path: Path, *, is_private: bool = False) -> Iterator[BinaryIO]:
    """A file to write that takes its name when the block ends well, synced to disk, and vanishes when it does not.

    Args:
        path: where.
        is_private: whether only its owner may read it.
    """
    temporary = _temporary_beside(path)
    # The system applies the umask itself; reading it would mean to set it, for all threads.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_private else 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def atomic_folder(final: Path, *, keeps: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """A temporary folder beside ``final`` that takes its name when the block ends well, and vanishes when it does not.

    Every file in it is synced before the rename. An older folder of that name is replaced.

    ::

        .model.x.tmp  new files + links to what is kept        model         old files, and what is kept
                      <------------------ one act: the names are exchanged ------------------>

    Args:
        final: where.
        keeps: what of an older folder is in the new one too, by its path in the folder; it is asked of folders first,
            and of what is in them when it says yes. Files are linked, not copied, where the file system can. Without
            it nothing of the older folder stays.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_beside(final)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
        if not final.exists():
            sync_folder(temporary)
            os.replace(temporary, final)
            sync_folder(final.parent)
            return
        if keeps is not None:
            _carry_over(final, temporary, keeps)
            shutil.copymode(final, temporary)
        sync_folder(temporary)
        _exchange(temporary, final)
        sync_folder(final.parent)
        if keeps is not None:
            _carry_over(temporary, final, keeps)  # what somebody wrote there in the meantime
        shutil.rmtree(temporary, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _exchange(new: Path, final: Path) -> None:
    """Give each of two folders the other's name: in one act, so that there is a whole one under each at any moment."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename is not None:
        if rename(here, os.fsencode(new), here, os.fsencode(final), exchange) == 0:
            return
        code = ctypes.get_errno()
        if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(code, os.strerror(code), str(final))
    # Not every system can. Then, between two renames, only the old folder's other name exists.
    aside = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.old.", suffix=TEMPORARY))
    old = aside / final.name
    os.replace(final, old)
    try:
        os.replace(new, final)
    except BaseException:
        os.replace(old, final)
        aside.rmdir()
        raise
    os.replace(old, new)
    aside.rmdir()


def _carry_over(old: Path, new: Path, keeps: Callable[[Path], bool], place: Path = Path()) -> None:
    """See that what is kept of one folder is in another too. What is there already and not older stays."""
    found = sorted((old / place).iterdir())
    kept = [path for path in found if keeps(path.relative_to(old))]
    is_top = place == Path()
    if found and not kept and not is_top:
        return
    (new / place).mkdir(exist_ok=True)
    for source in kept:
        target = new / source.relative_to(old)
        if source.is_dir() and not source.is_symlink():
            _carry_over(old, new, keeps, source.relative_to(old))
        elif not os.path.lexists(target) or target.lstat().st_mtime_ns < source.lstat().st_mtime_ns:
            spare = target.parent / f".carried{TEMPORARY}"
            _link_or_copy(source, spare)
            os.replace(spare, target)
    if not is_top:
        shutil.copystat(old / place, new / place)
        sync_folder(new / place)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links, or a file of somebody else's
        shutil.copy2(source, target, follow_symlinks=False)
        if not target.is_symlink():
            with open(target, "rb") as copy:
                os.fsync(copy.fileno())


def remove_folder(folder: Path) -> None:
    """Delete a folder so that no part of it is ever found under its name."""
    doomed = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=TEMPORARY))
    os.replace(folder, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Delete what killed processes left half-written in a folder. Only for who holds the folder's lock."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name.startswith(".") and path.name.endswith(TEMPORARY):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch_folder(beside: Path, what: str) -> Iterator[Path]:
    """A folder for what is needed for a while. What killed processes left of such folders goes first.

    Its owner holds the operating system's lock on it, which no process holds that has ended.

    Args:
        beside: where it lies: on the disk of what it is for, never in the system's temporary folder.
        what: for whom, as a part of its name.
    """
    prefix = f".textwright-{what}-"
    for left in beside.glob(f"{prefix}*{TEMPORARY}"):
        with contextlib.suppress(OSError), _lock_folder(left) as is_free:
            if is_free:
                shutil.rmtree(left, ignore_errors=True)
    while True:
        folder = beside / f"{prefix}{secrets.token_hex(6)}{TEMPORARY}"
        folder.mkdir()
        with _lock_folder(folder) as is_ours:
            if not is_ours:  # somebody took it for one that was left, in the moment before it was locked
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


@contextlib.contextmanager
def _lock_folder(folder: Path) -> Iterator[bool]:
    """Whether nobody else holds the folder, which is held then, and is still there."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _try_lock(descriptor, fcntl.LOCK_EX) and folder.exists()
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_size(folder: Path) -> int:
    """Bytes of all regular files below ``folder``; links are not followed."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total


@contextlib.contextmanager
def lock_file(path: Path, what: str) -> Iterator[None]:
    """Hold the operating system's lock on ``path``; it is freed when its owner ends, however it ends.

    Raises:
        InputError: another process holds it.
    """
    with open(path, "ab") as file:
        deadline_s = time.monotonic() + LOOK_S
        while not _try_lock(file, fcntl.LOCK_EX):
            # Who can share the lock sees that nobody owns it: somebody only looks, and that is over at once.
            is_owned = not _try_lock(file, fcntl.LOCK_SH)
            fcntl.flock(file, fcntl.LOCK_UN)
            if is_owned or time.monotonic() > deadline_s:
                raise InputError(f"another process is working on {what}", fix="wait for it to end, or stop it first")
            time.sleep(0.005)
        yield


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on ``path``. Who takes the lock meanwhile gets it."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - the next line closes it
    except FileNotFoundError:
        return False
    with file:
        return not _try_lock(file, fcntl.LOCK_SH)


def _try_lock(file: IO[bytes] | int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _temporary_beside(path: Path) -> Path:
    """A name that nothing has: so it is swept away if its owner is killed."""
    return path.parent / f".{path.name}.{secrets.token_hex(6)}{TEMPORARY}"
