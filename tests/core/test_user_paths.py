"""What a user names as the place of a result is refused before the work, and by the name that the user gave."""

from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.core.user_paths import check_can_be_written


@pytest.mark.parametrize("is_file", [False, True])
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a system without /proc")
def test_where_nothing_can_be_made_not_even_by_root_is_refused_by_its_name(is_file: bool) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*/proc/results[^\n]*$"):
        check_can_be_written(Path("/proc/results"), is_file=is_file)


@pytest.mark.parametrize("is_file", [False, True])
def test_trying_leaves_nothing(is_file: bool, tmp_path: Path) -> None:
    check_can_be_written(tmp_path / "out", is_file=is_file)
    assert not list(tmp_path.iterdir())


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="out leads through a file"):
        check_can_be_written(tmp_path / "file" / "out")
