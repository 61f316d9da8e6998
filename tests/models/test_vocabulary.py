"""A model gets rows for new tokens: all that it said of the old ones it still says, and every program reads it so."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.checkpoint.conftest import assert_parity, from_pretrained, our_logits, redraw, their_logits
from tests.plugins.gru import GRU, GRUConfig
from textwright.checkpoint.model_folder import load_folder, save_model
from textwright.core.config import changed
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel
from textwright.models.presets import preset
from textwright.models.vocabulary import extend_vocabulary
from textwright.tokens import make_tokenizer
from textwright.tokens.extended import extend_tokenizer

KNOWN, NEW = 257, 5
KINDS = {
    "gpt2": ("nano", True),
    "gpt2, untied": ("nano", False),
    "gpt1": ("gpt1-nano", True),
    "qwen3": ("qwen3-nano", True),
    "qwen3, untied": ("qwen3-nano", False),
}
"""Preset, and whether the output matrix is the embedding."""


def make(kind: str, vocab_size: int = KNOWN) -> LanguageModel:
    name, is_tied = KINDS[kind]
    config = changed(preset(name, vocab_size=vocab_size), {"tie_embeddings": is_tied, "num_layers": 2}, "the test")
    model = build(config)
    model.load_state_dict(redraw(model.state_dict()))
    assert isinstance(model, LanguageModel)
    return model.eval()


def ids(below: int = KNOWN) -> Tensor:
    return torch.randint(0, below, (2, 32), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_old_tokens_keep_their_logits_and_new_ones_get_the_mean(kind: str) -> None:
    model = make(kind)
    before = our_logits(model, ids())
    extend_vocabulary(model, KNOWN + NEW, num_known=KNOWN)
    assert (model.vocab_size, model.config.vocab_size) == (KNOWN + NEW, KNOWN + NEW)
    after = our_logits(model, ids())
    assert torch.allclose(after[..., :KNOWN], before, atol=1e-4)
    assert torch.allclose(after[..., KNOWN:], before.mean(-1, keepdim=True).expand(-1, -1, NEW), atol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "qwen3, untied"])
def test_the_loss_on_old_text_rises_by_no_more_than_the_bound(kind: str) -> None:
    model = make(kind)
    batch = Batch.from_ids(ids())

    def loss() -> float:
        with torch.no_grad():
            hidden = model.hidden_states(model.embed(batch), batch)
            return float(model.loss(hidden, batch.target_ids, batch.loss_weight) / batch.loss_weight.sum())

    before = loss()
    extend_vocabulary(model, KNOWN + 100, num_known=KNOWN)
    assert before <= loss() <= before + math.log(1 + 100 / KNOWN)


def test_rows_that_a_model_has_to_spare_are_used_first() -> None:
    model = make("gpt2", vocab_size=260)
    spare = model.head_weight[259].clone()
    extend_vocabulary(model, 259, num_known=KNOWN)
    assert model.vocab_size == 260
    assert torch.allclose(model.head_weight[257:259], model.head_weight[:257].mean(0), atol=1e-6)
    assert torch.equal(model.head_weight[259], spare)
    extend_vocabulary(model, 300, num_known=259)
    assert model.vocab_size == len(model.head_weight) == 300


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_the_folder_with_new_tokens_is_the_same_in_transformers(kind: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer, model = make_tokenizer("byte", lambda: iter(())), make(kind)
    extended = extend_tokenizer(tokenizer, ["dosage", " per day", "<|x|>"])
    extend_vocabulary(model, extended.vocab_size, num_known=tokenizer.vocab_size)
    save_model(model, extended, tmp_path / "model")
    again, same = load_folder(tmp_path / "model")
    assert again.config == model.config
    assert same.fingerprint == extended.fingerprint
    text = "a dosage of 3 per day<|x|>."
    given = torch.tensor([extended.encode(text) * 3])
    assert AutoTokenizer.from_pretrained(tmp_path / "model")(text)["input_ids"] == extended.encode(text)
    assert {KNOWN, KNOWN + 1, KNOWN + 2} <= set(given[0].tolist())
    assert torch.equal(our_logits(again, given), our_logits(model, given))
    assert_parity(our_logits(model, ids(260)), their_logits(from_pretrained(tmp_path / "model"), ids(260)))


def test_new_tokens_are_learned_apart() -> None:
    model = make("gpt2")
    extend_vocabulary(model, KNOWN + 2, num_known=KNOWN)
    rows = torch.tensor([[65, KNOWN, 66, 67], [68, KNOWN + 1, 69, 70]] * 4)
    batch = Batch.from_ids(rows)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=3e-3)
    for _ in range(30):
        loss = model.loss(model.hidden_states(model.embed(batch), batch), batch.target_ids, batch.loss_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    said = our_logits(model.eval(), rows[:2, :2]).argmax(-1)
    assert said.tolist() == [[KNOWN, 66], [KNOWN + 1, 69]]


def test_numbers_that_do_not_fit_and_families_without_rows_are_refused() -> None:
    model = make("gpt2")
    for num_tokens, num_known in ((256, 257), (300, 258), (300, 0)):
        with pytest.raises(InputError, match="known tokens of"):
            extend_vocabulary(model, num_tokens, num_known=num_known)
    before = dict(model.named_parameters())
    extend_vocabulary(model, KNOWN, num_known=KNOWN)
    assert all(parameter is before[name] for name, parameter in model.named_parameters())
    gru = GRU(GRUConfig(vocab_size=KNOWN, context_length=8, hidden_size=8))
    with pytest.raises(InputError, match="new tokens for a toy-gru model"):
        extend_vocabulary(gru, 300, num_known=KNOWN)
