"""Files are whole or not there."""

import fcntl
import itertools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.core.files import (
    atomic_folder,
    folder_size,
    is_locked,
    lock_file,
    remove_folder,
    sha256_file,
    sweep,
    write_atomically,
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_atomically(path, "old")

    def fail(_source: object, _target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path: Path) -> None:
    final = tmp_path / "model"
    for content in ("first", "second"):
        with atomic_folder(final) as folder:
            (folder / "weights").write_text(content)
            assert not (final / "weights").exists() or (final / "weights").read_text() == "first"
        assert (final / "weights").read_text() == content
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_folder_whose_writing_fails_vanishes(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="midway"), atomic_folder(tmp_path / "model") as folder:
        (folder / "half").write_text("x")
        raise RuntimeError("midway")
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_is_refused_until_the_first_one_ends(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom textwright.core.files import lock_file\n"
        "with lock_file(pathlib.Path(sys.argv[1]), 'run'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    path = tmp_path / ".lock"
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process is working on run"), lock_file(path, "run"):
        pass
    owner.kill()
    owner.wait()
    owner.communicate()
    with lock_file(path, "run"):
        pass


def test_hash_and_size_are_those_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"12345")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert folder_size(tmp_path) >= 8


def test_what_killed_processes_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    precious = tmp_path / "elsewhere"
    precious.mkdir()
    (tmp_path / ".step-4.abc.tmp").mkdir()
    (tmp_path / ".step-4.abc.tmp" / "half").write_text("x")
    (tmp_path / ".config.toml.abc.tmp").write_text("x")
    (tmp_path / ".link.tmp").symlink_to(precious)
    kept = {"elsewhere", ".lock", "notes.tmp", ".hidden"}
    for name in kept - {"elsewhere"}:
        (tmp_path / name).write_text("x")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_a_removed_folder_is_never_seen_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "step-4"
    folder.mkdir()
    (folder / "a").write_text("x")
    monkeypatch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
    remove_folder(folder)
    assert not folder.exists()
    assert [path.name.endswith(".tmp") for path in tmp_path.iterdir()] == [True]


def test_the_umask_is_never_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "umask", lambda _: pytest.fail("the umask was set: another thread sees it so"))
            write_atomically(tmp_path / "shared", "x")
            write_atomically(tmp_path / "private", "x", is_private=True)
            with atomic_folder(tmp_path / "folder") as folder:
                (folder / "file").write_text("x")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"shared": 0o640, "private": 0o600, "folder": 0o750}


def test_looking_whether_a_lock_is_held_never_keeps_it_from_its_next_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".lock"
    assert not is_locked(path)
    with lock_file(path, "run"):
        assert is_locked(path)
    assert not is_locked(path)
    # A look takes the shared lock for a moment. Here that moment lasts until the next owner has waited once.
    with open(path, "rb") as look, monkeypatch.context() as patched:
        fcntl.flock(look, fcntl.LOCK_SH)
        patched.setattr(time, "sleep", lambda _: fcntl.flock(look, fcntl.LOCK_UN))
        with lock_file(path, "run"):
            assert is_locked(path)


def test_a_lock_that_is_looked_at_for_ever_is_refused_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".lock"
    path.touch()
    clock = itertools.count()
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with open(path, "rb") as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        with pytest.raises(InputError, match="another process is working on run"), lock_file(path, "run"):
            pass
