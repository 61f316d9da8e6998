"""Files are whole or not there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.core.files import (
    atomic_folder,
    folder_size,
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
