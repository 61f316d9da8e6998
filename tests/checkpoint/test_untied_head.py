"""A head that is parted from its embedding computes the same, is trained by itself, and is so in transformers too."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.checkpoint.conftest import (
    assert_parity,
    foreign_model,
    from_pretrained,
    our_logits,
    random_ids,
    redraw,
    their_logits,
)
from textwright.checkpoint.model_folder import load_model, save_model
from textwright.core.errors import InputError
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel
from textwright.models.presets import preset
from textwright.tokens import Tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


def untied(name: str, **changes: object) -> LanguageModel:
    """A model of random weights whose head was parted from the embedding, and then moved."""
    model = build(preset(name, vocab_size=257).model_copy(update={"num_layers": 2} | changes))
    model.load_state_dict(redraw(model.state_dict()))
    model.untie_head()
    with torch.no_grad():
        model.head_weight.copy_(redraw({"head": model.head_weight}, seed=5)["head"])
    return model.eval()


def test_until_it_is_trained_the_model_computes_what_it_did() -> None:
    model = build(preset("nano", vocab_size=257))
    ids = random_ids(257)
    before, embedding = our_logits(model, ids), model.get_parameter("token_embedding.weight")
    model.untie_head()
    assert torch.equal(our_logits(model, ids), before)
    assert not model.config.tie_embeddings  # type: ignore[attr-defined]
    head = model.head_weight
    model.untie_head()  # a second time there is nothing to do
    assert model.head_weight is head
    kept = embedding.detach().clone()
    with torch.no_grad():
        head.add_(1.0)
    assert torch.equal(embedding, kept)
    assert not torch.equal(our_logits(model, ids), before)
    assert "untied_head.weight" not in model.hidden_matrices()


@pytest.mark.parametrize("name", ["nano", "gpt1-nano", "qwen3-nano"])
def test_it_is_written_as_a_head_of_its_own_which_transformers_and_we_read(
    name: str, tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    model = untied(name)
    save_model(model, byte_tokenizer, tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["tie_word_embeddings"] is False
    ids = random_ids(model.vocab_size)
    ours = our_logits(model, ids)
    assert_parity(ours, their_logits(from_pretrained(tmp_path / "model"), ids))
    again = load_model(tmp_path / "model")
    assert again.config == model.config
    assert torch.equal(our_logits(again, ids), ours)


def test_a_layout_that_only_we_read_keeps_it_too(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    model = untied("nano", position_encoding="none")
    save_model(model, byte_tokenizer, tmp_path / "model")
    assert torch.equal(our_logits(load_model(tmp_path / "model"), random_ids(257)), our_logits(model, random_ids(257)))


def test_a_model_of_others_keeps_what_its_config_says_and_says_that_the_head_is_apart(
    tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    """GPT-2's own config.json does not say that the head is tied: it is what nothing said stands for."""
    shape: dict[str, Any] = {"vocab_size": 257, "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 64}
    theirs = foreign_model({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]} | shape)
    theirs.save_pretrained(tmp_path / "theirs")  # type: ignore[operator]
    config = tmp_path / "theirs" / "config.json"
    said = json.loads(config.read_text())
    said.pop("tie_word_embeddings", None)
    config.write_text(json.dumps(said | {"task_specific_params": {"a": 1}}))
    model = load_model(tmp_path / "theirs")
    model.untie_head()
    with torch.no_grad():
        model.head_weight.mul_(-1.0)
    save_model(model, byte_tokenizer, tmp_path / "ours")
    written = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert written["tie_word_embeddings"] is False
    assert written["task_specific_params"] == {"a": 1}
    ids = random_ids(257)
    assert_parity(our_logits(model, ids), their_logits(from_pretrained(tmp_path / "ours"), ids))


def test_a_family_that_does_not_offer_it_says_so_in_a_line() -> None:
    model = build(preset("nano", vocab_size=257))
    with pytest.raises(InputError, match="the head of a gpt2 model cannot be parted from its embedding"):
        LanguageModel.untie_head(model)
