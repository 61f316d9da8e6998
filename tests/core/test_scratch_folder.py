"""Scratch lies where it is told to, is gone afterwards, and what a killed process left goes with the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

from textwright.core.files import scratch_folder

HOLD = """
import sys
from pathlib import Path
from textwright.core.files import scratch_folder
with scratch_folder(Path(sys.argv[1]), "plan") as folder:
    (folder / "data").write_text("much")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_it_is_gone_afterwards_however_the_block_ends(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "plan") as folder:
        (folder / "file").write_text("text")
        assert folder.parent == tmp_path
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path, "plan"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(tmp_path: Path) -> None:
    holders = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    folders = []
    for holder in holders:
        assert holder.stdout is not None
        folders.append(Path(holder.stdout.readline().strip()))
    (tmp_path / ".textwright-plan-link.tmp").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    try:
        with scratch_folder(tmp_path, "plan"):
            assert all((folder / "data").exists() for folder in folders)
        holders[0].kill()
        holders[0].wait()
        assert folders[0].exists()
        with scratch_folder(tmp_path, "bench"):
            assert folders[0].exists()  # another's
        with scratch_folder(tmp_path, "plan"):
            assert [folder.exists() for folder in folders] == [False, True]
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()
    assert (tmp_path / "other").exists()
