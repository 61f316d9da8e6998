"""What we write, the safetensors library reads."""

import hashlib
import stat
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from textwright.checkpoint.safetensors_writer import NAMES, write_safetensors


def test_every_type_and_shape_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    tensors = {str(dtype): torch.tensor([[0, 1, 1], [1, 0, 1]]).to(dtype) for dtype in NAMES}
    tensors |= {"scalar": torch.tensor(2.5), "empty": torch.empty(0, 3), "turned": torch.randn(4, 6).t()}
    path = tmp_path / "a.safetensors"
    digest = write_safetensors(path, tensors, {"format": "pt"})
    read = load_file(path)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
    assert all(read[name].dtype == tensor.dtype for name, tensor in tensors.items())
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    with safe_open(path, framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", {"x": torch.zeros(1)})
    (tmp_path / "b").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode)


def test_a_full_disk_is_an_os_error() -> None:
    with pytest.raises(OSError, match="No space left"):
        write_safetensors(Path("/dev/full"), {"x": torch.zeros(9)})
