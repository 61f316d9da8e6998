"""The GPU's benchmark, tried on the CPU with a small model."""

import pytest
import torch

from benchmarks import gpu_train
from textwright.bench.job import Job


def test_a_size_is_measured_beside_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_train, "PEERS", ("textwright_eager", "hugging_face"))
    found = gpu_train.measure(Job("nano", 1, 16, "float32", "cpu"), turns=1, steps=1)
    assert found["preset"] == "nano"
    assert found["figures"].keys() == {"tokens/s", "over Hugging Face", "of the matrix rate"}
    assert all(value > 0 for value in found["figures"].values())


def test_without_a_gpu_it_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu_train.py"])
    with pytest.raises(SystemExit) as ended:
        gpu_train.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_time_left_there_is_no_time_to_loss() -> None:
    assert gpu_train.time_to_loss(10) is None
