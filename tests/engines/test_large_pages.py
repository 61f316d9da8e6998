"""Memory in which weights, keys and values lie."""

import mmap

import pytest
import torch

from textwright.engines.cpu import cache, large_pages
from textwright.engines.cpu.cache import KEPT_BYTES, SlotCache, SlotMemory
from textwright.engines.cpu.kernels.layout import CACHE_LINE
from textwright.engines.cpu.large_pages import CHUNK_BYTES, LARGE_PAGE, LargePages


@pytest.mark.parametrize("has_them", [True, False])
def test_pieces_are_zeros_of_their_own_that_begin_a_line(has_them: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_them:
        monkeypatch.delattr(mmap, "MADV_HUGEPAGE", raising=False)
    memory = LargePages()
    shapes = [(3, 5), (1,), (0,), (CHUNK_BYTES // 8 + 1, 2), (7, 9)]
    pieces = [memory.zeros(shape, torch.float32) for shape in shapes]
    for n, (piece, shape) in enumerate(zip(pieces, shapes, strict=True)):
        assert (tuple(piece.shape), piece.data_ptr() % CACHE_LINE) == (shape, 0)
        assert not piece.any()
        piece.fill_(n + 1)
    assert all((piece == n + 1).all() for n, piece in enumerate(pieces))
    given = torch.arange(12, dtype=torch.int16).view(3, 4).T
    found = memory.copy(given)
    assert torch.equal(found, given)
    assert found.dtype == given.dtype
    assert found.is_contiguous()


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="this system has no large pages")
def test_memory_begins_with_a_large_page_and_outlives_who_handed_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    first = LargePages().zeros((4,), torch.float32)
    assert first.data_ptr() % LARGE_PAGE == 0
    others = [LargePages().zeros((1 << 20,), torch.float32).fill_(7) for _ in range(3)]
    assert not first.any()
    assert all((other == 7).all() for other in others)
    asked = list[int]()
    monkeypatch.setattr(large_pages, "_chunk", lambda size: asked.append(size) or torch.zeros(size, dtype=torch.uint8))
    memory = LargePages()
    for _ in range(100):
        memory.zeros((1000,), torch.float32)
    assert asked == [CHUNK_BYTES]


@torch.inference_mode()
def test_a_slot_takes_what_another_has_outgrown_and_keeps_what_it_holds() -> None:
    memory = SlotMemory(layers=2, heads=1, head_dim=5, dtype=torch.float32)
    slots = SlotCache(memory, num_slots=3, context_length=256)
    slots.reserve(0, 10)
    small = int(slots.table[0, 0])
    slots._tensors[0][..., :10, :5] = torch.arange(2 * 2 * 10 * 5.0).view(2, 2, 1, 10, 5)
    slots.set_length(0, 10)
    slots.reserve(0, 200)
    assert torch.equal(slots._tensors[0][..., :10, :5].flatten(), torch.arange(2 * 2 * 10 * 5.0))
    slots.reserve(1, 10)
    assert int(slots.table[0, 1]) == small
    # What fills a head up to a vector is multiplied, too.
    assert not any(slots._tensors[slot][..., 5:].any() for slot in (0, 1))
    slots.reserve(2, 10)
    assert len({*slots.table[0].tolist()}) == 3


@torch.inference_mode()
def test_a_cache_takes_what_one_before_it_has_left() -> None:
    memory = SlotMemory(layers=2, heads=1, head_dim=8, dtype=torch.float32)
    first = SlotCache(memory, num_slots=2, context_length=256)
    for slot in (0, 1):
        first.reserve(slot, 10)
    had = {*first.table[0].tolist()}
    beside = SlotCache(memory, num_slots=1, context_length=256)
    beside.reserve(0, 10)
    assert int(beside.table[0, 0]) not in had
    del first
    second = SlotCache(memory, num_slots=2, context_length=256)
    for slot in (0, 1):
        second.reserve(slot, 10)
    assert {*second.table[0].tolist()} == had
    assert second.length(0) == 0


def test_no_more_than_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = SlotMemory(layers=1, heads=1, head_dim=8, dtype=torch.float32)
    pieces = [memory.take(16) for _ in range(3)]
    addresses = [piece.data_ptr() for piece in pieces]
    assert memory.bytes_for(16) == pieces[0].nbytes < KEPT_BYTES
    monkeypatch.setattr(cache, "KEPT_BYTES", 2 * pieces[0].nbytes)
    memory.give_back(pieces)
    assert {memory.take(16).data_ptr() for _ in range(2)} == {*addresses[:2]}
    assert memory.take(16).data_ptr() != addresses[2]
