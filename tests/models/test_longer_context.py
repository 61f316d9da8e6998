"""A model takes more tokens at once: near what it knew where it knew, the same to every program, and able to learn."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.checkpoint.conftest import assert_parity, from_pretrained, our_logits, redraw, their_logits
from tests.plugins.gru import GRU, GRUConfig
from textwright.checkpoint.model_folder import load_folder, load_model, save_model
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.models.layers.positions import interpolated_positions, rope_table, stretched_theta
from textwright.models.longer_context import stretch_context
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer

OLD, LONG = 16, 40
KINDS: dict[str, dict[str, Any]] = {
    "gpt2, learned": {"preset": "nano"},
    "gpt2, sinusoidal": {"preset": "nano", "position_encoding": "sinusoidal"},
    "gpt2, none": {"preset": "nano", "position_encoding": "none"},
    "gpt2, rotary": {"preset": "nano", "position_encoding": "rotary"},
    "gpt1": {"preset": "gpt1-nano"},
    "qwen3": {"preset": "qwen3-nano"},
}
SAID_BY_TRANSFORMERS = ("gpt2, learned", "gpt2, sinusoidal", "gpt1", "qwen3")


def make(kind: str) -> LanguageModel:
    shape = dict(KINDS[kind])
    model = build(preset(shape.pop("preset"), vocab_size=257, context_length=OLD, **shape))
    model.load_state_dict(redraw(model.state_dict()))
    assert isinstance(model, LanguageModel)
    return model.eval()


def ids(time: int = LONG) -> Tensor:
    return torch.randint(0, 257, (2, time), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stretched_model_reads_more_at_once_and_decodes_what_it_reads(kind: str) -> None:
    model = make(kind)
    stretch_context(model, LONG)
    assert (model.context_length, model.config.context_length) == (LONG, LONG)
    whole, cache = our_logits(model, ids()), model.empty_cache(2)
    for start, stop in ((0, 7), (7, LONG - 1), (LONG - 1, LONG)):
        hidden = model.extend(ids()[:, start:stop], [stop - start] * 2, cache, [0, 1])
        assert torch.allclose(model.logits(hidden), whole[:, start:stop], atol=1e-3, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_its_folder_is_the_same_model_here_and_in_transformers(kind: str, tmp_path: Path) -> None:
    model = make(kind)
    stretch_context(model, LONG)
    save_model(model, make_tokenizer("byte", lambda: iter(())), tmp_path / "model")
    again, _ = load_folder(tmp_path / "model")
    assert again.config == model.config
    assert torch.equal(our_logits(again, ids()), our_logits(model, ids()))
    if kind in SAID_BY_TRANSFORMERS:
        theirs = from_pretrained(tmp_path / "model")
        assert_parity(our_logits(model, ids()), their_logits(theirs, ids()))
        assert theirs.config.max_position_embeddings == LONG


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_folder_of_others_says_the_new_length_and_base_wherever_it_said_the_old(tmp_path: Path) -> None:
    for kind, before in (
        ("gpt2, learned", {"n_ctx": OLD, "max_position_embeddings": OLD}),
        ("qwen3", {"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}),
    ):
        model = make(kind)
        folder = tmp_path / kind
        save_model(model, make_tokenizer("byte", lambda: iter(())), folder)
        read = load_model(folder)
        assert read.foreign_config is not None
        read.foreign_config = {**read.foreign_config, **before}
        for key in ("n_positions", "rope_theta") if kind == "gpt2, learned" else ("rope_theta",):
            dict.pop(read.foreign_config, key, None)  # type: ignore[arg-type]
        stretch_context(read, LONG)
        save_model(read, make_tokenizer("byte", lambda: iter(())), tmp_path / "longer")
        theirs = from_pretrained(tmp_path / "longer")
        assert theirs.config.max_position_embeddings == LONG
        assert getattr(theirs.config, "n_ctx", LONG) == LONG
        assert_parity(our_logits(read.eval(), ids()), their_logits(theirs, ids()))


def test_learned_positions_keep_their_ends_and_lie_evenly_between() -> None:
    table = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    stretched = interpolated_positions(table, 9)
    assert torch.allclose(stretched[::2], table, atol=1e-6)
    assert torch.allclose(stretched[1::2], (table[1:] + table[:-1]) / 2, atol=1e-6)
    for place, row in enumerate(interpolated_positions(table, 12)):  # the slow way
        old = place * 4 / 11
        low = min(int(old), 3)
        assert torch.allclose(row, table[low] + (old - low) * (table[low + 1] - table[low]), atol=1e-5)


def test_a_greater_base_slows_the_slowest_pair_by_the_scale_and_leaves_the_fastest() -> None:
    head_dim, theta, scale = 12, 10_000.0, 4
    longer = stretched_theta(theta, head_dim, scale)
    assert longer == pytest.approx(theta * scale ** (12 / 10))
    before = rope_table(torch.arange(16)[None], head_dim, theta)
    after = rope_table(torch.arange(0, 64, scale)[None], head_dim, longer)
    every = rope_table(torch.arange(16)[None], head_dim, longer)
    slowest = head_dim // 2 - 1
    assert torch.allclose(after.sin[..., slowest], before.sin[..., slowest], atol=1e-6)
    assert torch.equal(every.sin[..., 0], before.sin[..., 0])
    assert stretched_theta(theta, 2, scale) == theta


@pytest.mark.parametrize("kind", ["gpt2, sinusoidal", "gpt2, none"])
def test_where_positions_are_computed_what_it_read_before_it_reads_as_before(kind: str) -> None:
    model = make(kind)
    before = our_logits(model, ids(OLD))
    stretch_context(model, LONG)
    assert torch.allclose(our_logits(model, ids(OLD)), before, atol=1e-4)


def test_positions_are_trained_as_before_and_stay_frozen_where_they_were() -> None:
    for is_trained in (True, False):
        model = make("gpt2, learned")
        model.get_parameter("position_embedding.weight").requires_grad_(is_trained)
        stretch_context(model, LONG)
        batch = Batch.from_ids(ids(LONG + 1))
        model.loss(model.hidden_states(model.embed(batch), batch), batch.target_ids, batch.loss_weight).backward()
        weight = model.get_parameter("position_embedding.weight")
        assert weight.shape == (LONG, 128)
        assert (weight.grad is not None and bool(weight.grad.abs().sum(1).all())) == is_trained


def test_a_shorter_context_is_refused_and_its_own_changes_nothing() -> None:
    model = make("gpt2, learned")
    with pytest.raises(InputError, match=r"a context of 8 tokens; expected at least 16.*--sequence-length"):
        stretch_context(model, 8)
    before = dict(model.named_parameters())
    stretch_context(model, OLD)
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    with pytest.raises(InputError, match="context_length"):
        stretch_context(model, 1 << 25)
    assert model.context_length == OLD


def test_a_family_without_positions_is_refused() -> None:
    model = GRU(GRUConfig(vocab_size=9, context_length=OLD, hidden_size=8))
    with pytest.raises(InputError, match="a context of 40 tokens for a toy-gru model"):
        stretch_context(model, LONG)


def test_a_head_of_width_two_keeps_its_base() -> None:
    config = GPTConfig(
        vocab_size=9, context_length=4, num_layers=1, num_heads=2, hidden_size=4, position_encoding="rotary"
    )
    model = build(config)
    assert isinstance(model, LanguageModel)
    stretch_context(model, 8)
    assert model.config == config.model_copy(update={"context_length": 8})
