"""What every row of the table of families promises, on its smallest preset: a new row is tested from the start."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from textwright.checkpoint.model_folder import load_model, save_model
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.catalog import FAMILIES, build, find_family, presets
from textwright.models.config import ModelConfig
from textwright.models.family import Family
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer

TIME, VOCABULARY = 12, 257
TOYS = {"toy-gru": "tests.plugins.gru:FAMILY"}
"""Held to the same, as those who add a family are."""


@pytest.fixture(params=[*FAMILIES, *TOYS])
def shape(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModelConfig:
    for name, target in TOYS.items():
        monkeypatch.setitem(FAMILIES.rows, name, target)
    own = [preset(name, vocab_size=VOCABULARY, context_length=TIME) for name in find_family(request.param).presets]
    return min(own, key=lambda config: sum(value for _, value in config if type(value) is int))


@pytest.fixture
def model(shape: ModelConfig) -> LanguageModel:
    return as_language_model(build(shape, seed=1)).eval()


def ids(rows: int = 3, seed: int = 0) -> Tensor:
    return torch.randint(0, VOCABULARY, (rows, TIME), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def forward(model: LanguageModel, batch: Batch) -> Tensor:
    return model.logits(model.hidden_states(model.embed(batch), batch))


def close(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one, other, atol=1e-4, rtol=1e-4))


def test_building_depends_on_the_seed_alone_and_leaves_torchs_generator(shape: ModelConfig) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build(shape, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_no_place_sees_what_comes_after_it(model: LanguageModel) -> None:
    first = ids()
    changed = first.clone()
    changed[:, TIME // 2 :] = (changed[:, TIME // 2 :] + 1) % VOCABULARY
    one, other = (forward(model, Batch.for_inputs(given)) for given in (first, changed))
    assert close(one[:, : TIME // 2], other[:, : TIME // 2])
    assert not close(one[:, TIME // 2 :], other[:, TIME // 2 :])


@pytest.mark.parametrize("chunks", [[TIME], [1] * TIME, [5, 1, 6]])
def test_decoding_gives_the_logits_of_the_whole(model: LanguageModel, chunks: list[int]) -> None:
    whole, cache, start = forward(model, Batch.for_inputs(ids())), model.empty_cache(3), 0
    for size in chunks:
        hidden = model.extend(ids()[:, start : start + size], [size] * 3, cache, [0, 1, 2])
        assert close(model.logits(hidden), whole[:, start : start + size])
        start += size
    assert [cache.length(slot) for slot in range(3)] == [TIME] * 3


def test_slots_of_different_lengths_join_fork_and_leave(model: LanguageModel) -> None:
    given, whole, cache = ids(), forward(model, Batch.for_inputs(ids())), model.empty_cache(4)
    model.extend(given[:2, :6], [6, 2], cache, [3, 0])
    model.extend(given[2:, :4], [4], cache, [1])
    cache.fork(1, 2)
    held = [(1, 2), (2, 4), (2, 4), (0, 6)]  # of each slot: which row, how much of it
    assert [cache.length(slot) for slot in range(4)] == [read for _, read in held]
    following = torch.stack([given[row, read] for row, read in held])[:, None]
    hidden = model.extend(following[[3, 2, 0]], [1, 1, 1], cache, [3, 2, 0])
    for place, slot in enumerate((3, 2, 0)):
        row, read = held[slot]
        assert close(model.logits(hidden[place, 0]), whole[row, read])
    cache.crop(3, 0)
    assert close(model.logits(model.extend(given[:1, :3], [3], cache, [3])), whole[:1, :3])
    assert close(model.logits(model.extend(following[1:2], [1], cache, [1])[0, 0]), whole[2, 4])
    if model.can_crop:
        for slot in range(4):
            cache.crop(slot, 1)
        again = torch.stack([given[row, 1] for row, _ in held])[:, None]
        hidden = model.extend(again, [1] * 4, cache, range(4))
        for slot, (row, _) in enumerate(held):
            assert close(model.logits(hidden[slot, 0]), whole[row, 1])


def test_a_batch_is_learned_by_heart(model: LanguageModel) -> None:
    batch = Batch.from_ids(ids(rows=2)[:, :8])
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = model.loss(model.hidden_states(model.embed(batch), batch), batch.target_ids, batch.loss_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_model_folder_gives_the_same_model(model: LanguageModel, tmp_path: Path) -> None:
    save_model(model, make_tokenizer("byte", lambda: iter(())), tmp_path / "model")
    again = load_model(tmp_path / "model").eval()
    assert again.config == model.config
    batch = Batch.for_inputs(ids())
    assert torch.equal(forward(again, batch), forward(model, batch))


def test_a_preset_of_two_families_and_a_row_that_leads_nowhere_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = find_family("gpt2")
    monkeypatch.setitem(FAMILIES.rows, "toy-gru", "tests.plugins.gru:FAMILY")
    monkeypatch.setattr("tests.plugins.gru.FAMILY", Family(known.config, known.network, {"nano": {"family": "gpt2"}}))
    with pytest.raises(InputError, match="the preset 'nano' is gpt2's and toy-gru's"):
        presets()
    monkeypatch.setitem(FAMILIES.rows, "toy-gru", "tests.plugins.gru:LOST")
    with pytest.raises(InputError, match="the family 'toy-gru' leads to tests.plugins.gru:LOST"):
        presets()
