"""People are told once that kernels are compiled, and not again."""

import pytest
import torch

from textwright.kernels.torch_threads import TrainingKernel, suit
from textwright.models.catalog import build
from textwright.models.layers.training_kernels import PREPARING, load_kernels
from textwright.models.presets import preset

pytestmark = pytest.mark.skipif(not suit(torch.zeros(1)), reason="no kernels for training on this processor")


@pytest.mark.parametrize("is_kept", [True, False])
def test_compiling_is_said(is_kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    notes, prepared = list[str](), list[TrainingKernel]()
    monkeypatch.setattr(TrainingKernel, "is_kept", property(lambda _: is_kept))
    monkeypatch.setattr(TrainingKernel, "prepare", lambda kernel: prepared.append(kernel))
    load_kernels(build(preset("nano", vocab_size=300)), notes.append)
    assert notes == ([] if is_kept else [PREPARING])
    assert len(prepared) == len(set(prepared)) > 0
