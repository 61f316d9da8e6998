"""The journal is readable at any moment, and can be cut back."""

import errno
import os
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.core.journal import Follower, Journal, read_rows, read_undamaged_rows


def test_rows_come_back_and_non_finite_numbers_become_null(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("train", step=1, loss_nats=float("nan"), text="汉字")
    journal.close()
    assert list(read_rows(tmp_path / "journal.jsonl")) == [
        {"kind": "train", "step": 1, "loss_nats": None, "text": "汉字"}
    ]


def test_a_last_line_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"kind": "train", "step": 1}\n{"kind": "tra')
    assert [row["step"] for row in read_rows(path)] == [1]


def test_where_each_line_must_be_a_row_damage_is_named_and_a_torn_end_told(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert read_undamaged_rows(path, fix="") == ([], "")
    path.write_text('{"step": 1}\n{"step": 2}\n')
    assert read_undamaged_rows(path, fix="") == ([{"step": 1}, {"step": 2}], "")
    path.write_text('{"step": 1}\n{"st')
    assert read_undamaged_rows(path, fix="") == ([{"step": 1}], f"{path}:2")
    for broken in ('{"st\n', "\n", "1\n", '{"a": "\x00"}\n', "[" * 100_000 + "\n"):
        path.write_text('{"step": 1}\n' + broken + '{"step": 3}\n')
        with pytest.raises(InputError, match=r"journal\.jsonl:2; .*; delete it$"):
            read_undamaged_rows(path, fix="delete it")


def test_cutting_back_drops_later_steps_and_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for step in (1, 2, 3):
        journal.write("train", step=step)
    journal.cut_after(2)
    journal.write("train", step=3, again=True)
    assert [(row["step"], row.get("again")) for row in read_rows(journal.path)] == [(1, None), (2, None), (3, True)]
    journal.close()


def test_what_a_full_disk_does_not_take_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("train", step=1)
    write, room = os.write, [10]

    def nearly_full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(descriptor, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", nearly_full)
    journal.write("train", step=2)
    assert journal.failure is not None
    with pytest.raises(OSError, match="No space"):
        journal.sync()
    journal.write("train", step=3)
    assert [row["step"] for row in read_rows(journal.path)] == [1]
    room[0] = 10_000
    journal.write("train", step=4)
    assert journal.failure is None
    assert [row["step"] for row in read_rows(journal.path)] == [1, 2, 3, 4]
    journal.sync()
    journal.close()


def test_a_follower_reads_each_row_once_and_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Follower(path) as follower:
        assert follower.read() == []  # not there yet
        journal = Journal(path)
        journal.write("train", step=1, text="汉字")
        assert [row["step"] for row in follower.read()] == [1]
        assert follower.read() == []
        journal.write("train", step=2)
        with open(path, "rb+") as file:
            file.write(b'{"kind": "train", "step": 9}')  # what was read is not read again
        assert [row["step"] for row in follower.read()] == [2]
        journal.close()


def test_a_follower_waits_for_the_end_of_an_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    line = '{"kind": "sample", "text": "汉字"}\n'.encode()
    with open(path, "ab", buffering=0) as file, Follower(path) as follower:
        for start, stop, expected in ((0, 31, []), (31, 32, []), (32, len(line), ["汉字"])):
            file.write(line[start:stop])
            assert [row["text"] for row in follower.read()] == expected


@pytest.mark.parametrize("in_place", [False, True], ids=["replaced", "shorter"])
def test_a_follower_begins_again_when_a_resume_cuts_the_journal_back(tmp_path: Path, in_place: bool) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for step in (1, 2, 3):
        journal.write("train", step=step)
    with Follower(path) as follower, Follower(path) as anew:
        assert len(follower.read()) == 3
        assert not follower.was_cut_back()
        if in_place:
            os.truncate(path, path.stat().st_size // 3)
        else:
            journal.cut_after(1)
            for step in (2, 3, 4, 5):
                journal.write("train", step=step)
        assert follower.was_cut_back()
        assert follower.read() == []  # of the old journal there is nothing more
        assert [row["step"] for row in anew.read()] == ([1] if in_place else [1, 2, 3, 4, 5])
    journal.close()
