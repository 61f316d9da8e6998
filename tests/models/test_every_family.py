"""What every row of the table of families promises, on its smallest preset: a new row is tested from the start."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from textwright.checkpoint.model_folder import load_model, save_model
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models import contract
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
    return contract.random_ids(VOCABULARY, rows, TIME, seed)


def test_building_depends_on_the_seed_alone_and_leaves_torchs_generator(shape: ModelConfig) -> None:
    before = torch.random.get_rng_state()
    one, same, other = (build(shape, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_no_place_sees_what_comes_after_it(model: LanguageModel) -> None:
    assert contract.sees_what_comes(model) < 1e-5
    changed = ids()
    changed[:, TIME // 2 :] = (changed[:, TIME // 2 :] + 1) % VOCABULARY
    one, other = (contract.logits_of(model, given)[:, TIME // 2 :] for given in (ids(), changed))
    assert contract.difference(one, other) > 1e-3


@pytest.mark.parametrize("chunks", [[TIME], [1] * TIME, [5, 1, 6]])
def test_decoding_gives_the_logits_of_the_whole(model: LanguageModel, chunks: list[int]) -> None:
    expected = contract.logits_of(contract.as_float64(model), ids())
    assert contract.differs_in_pieces(model, expected, chunks) < 1e-5


def test_slots_of_different_lengths_join_fork_and_leave(model: LanguageModel) -> None:
    expected = contract.logits_of(contract.as_float64(model), ids())
    assert contract.differs_in_company(model, expected) < 1e-5


def test_loss_and_gradients_are_those_of_float64(model: LanguageModel) -> None:
    assert contract.learns_otherwise(model, contract.as_float64(model), 2, TIME - 1) < 1e-4


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
    assert torch.equal(contract.logits_of(again, ids()), contract.logits_of(model, ids()))


def test_a_preset_of_two_families_and_a_row_that_leads_nowhere_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = find_family("gpt2")
    monkeypatch.setitem(FAMILIES.rows, "toy-gru", "tests.plugins.gru:FAMILY")
    monkeypatch.setattr("tests.plugins.gru.FAMILY", Family(known.config, known.network, {"nano": {"family": "gpt2"}}))
    with pytest.raises(InputError, match="the preset 'nano' is gpt2's and toy-gru's"):
        presets()
    monkeypatch.setitem(FAMILIES.rows, "toy-gru", "tests.plugins.gru:LOST")
    with pytest.raises(InputError, match="the family 'toy-gru' leads to tests.plugins.gru:LOST"):
        presets()
