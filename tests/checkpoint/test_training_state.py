"""A checkpoint is whole or it is passed over; the newest whole one is never deleted."""

import random
from pathlib import Path

import pytest
import torch

from textwright.checkpoint.training_state import (
    checkpoints,
    damage,
    prune,
    read_checkpoint,
    snapshot,
    write_checkpoint,
)
from textwright.core.errors import InputError

TENSORS = {"weights/a": torch.arange(600.0), "optimizer/a": torch.ones(3, 4, dtype=torch.bfloat16)}


def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    shared = torch.zeros(4)
    tensors = snapshot(TENSORS | {"x": shared, "y": shared})
    path = write_checkpoint(tmp_path, 7, tensors, {"step": 7, "best": {"loss": 0.1}})
    tensors, facts = read_checkpoint(path)
    assert facts == {"step": 7, "best": {"loss": 0.1}}
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert damage(path) is None


def test_any_flipped_bit_or_cut_is_found_and_named(tmp_path: Path) -> None:
    rng = random.Random(0)
    path = write_checkpoint(tmp_path, 1, TENSORS, {"step": 1})
    for attempt in range(60):
        victim = path / rng.choice(["state.safetensors", "facts.json", "manifest.json"])
        raw = victim.read_bytes()
        changed = bytearray(raw)
        changed[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        hurt = bytes(changed) if attempt % 2 else raw[: rng.randrange(len(raw))]
        victim.write_bytes(hurt)
        found = damage(path)
        assert found is not None
        assert str(victim) in found or "manifest.json" in found
        victim.write_bytes(raw)
    assert damage(path) is None


def test_a_damaged_newest_one_is_passed_over_and_the_whole_one_kept(tmp_path: Path) -> None:
    for step in (10, 9, 100):
        write_checkpoint(tmp_path, step, TENSORS, {"step": step})
    assert [path.name for path in checkpoints(tmp_path)] == ["step-100", "step-10", "step-9"]
    (tmp_path / "step-100" / "state.safetensors").write_bytes(b"torn")
    prune(tmp_path, keep=1)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-100", "step-10", "step-9"]
    prune(tmp_path, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-100", "step-10"]


def test_strangers_links_and_half_written_folders_are_no_checkpoints(tmp_path: Path) -> None:
    for name in (".step-5.abc", "step-", "step-x", "step-1e3", "step-٣", f"step-{'9' * 40}", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-7").symlink_to(tmp_path)
    (tmp_path / "step-8").write_text("a file")
    assert [path.name for path in checkpoints(tmp_path)] in ([], ["step-٣"])
    assert checkpoints(tmp_path / "missing") == []


def test_a_checkpoint_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, 1, TENSORS, {"step": 1})
    (path / "state.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"step-1 cannot be read.*use an older one"):
        read_checkpoint(path)
