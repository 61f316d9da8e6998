"""The GPU's benchmark where there is no GPU or no time; ``test_bench_train.py`` measures with it, on the CPU."""

import pytest
import torch

from benchmarks import gpu_train


def test_without_a_gpu_it_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu_train.py"])
    with pytest.raises(SystemExit) as ended:
        gpu_train.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_time_left_there_is_no_time_to_loss() -> None:
    assert gpu_train.time_to_loss(10) is None
