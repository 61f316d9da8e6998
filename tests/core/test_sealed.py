"""A sealed file shows every change, whatever it is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.core.sealed import damage_of_files, describe_files, seal, unseal

VALUES = {"version": 1, "files": {"a": {"size_bytes": 3, "sha256": "ab"}}, "name": "汉字", "share": 0.1}


def test_what_was_sealed_comes_back() -> None:
    assert unseal(seal(VALUES)) == VALUES


@given(place=st.integers(0, len(seal(VALUES)) - 1), bit=st.integers(0, 6))
def test_every_flipped_bit_and_every_cut_is_noticed(place: int, bit: int) -> None:
    text = seal(VALUES)
    flipped = text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]
    for changed in (flipped, text[:place]):
        with pytest.raises(ValueError):
            unseal(changed)


def test_files_are_held_against_their_description(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    files = describe_files(tmp_path, ["a"])
    assert damage_of_files(tmp_path, files) is None
    (tmp_path / "a").write_bytes(b"abd")
    assert damage_of_files(tmp_path, files) == f"{tmp_path / 'a'} has other content than was written"
    (tmp_path / "a").write_bytes(b"ab")
    assert damage_of_files(tmp_path, files) == f"{tmp_path / 'a'} has 2 bytes instead of 3"
    (tmp_path / "a").unlink()
    assert damage_of_files(tmp_path, files) == f"{tmp_path / 'a'} is missing"
    (tmp_path / "a").symlink_to("/etc/hostname")
    assert damage_of_files(tmp_path, files) == f"{tmp_path / 'a'} is missing"
