"""Random models whose every tensor matters: redrawn so that logits are far apart and a wrong tensor shows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

Tensors = dict[str, Tensor]


def redraw(tensors: Tensors, seed: int = 0) -> Tensors:
    """All weights anew: matrices, embeddings, gains and biases, none near its usual start."""
    generator = torch.Generator().manual_seed(seed)

    def draw(name: str, tensor: Tensor) -> Tensor:
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim == 1:
            return 0.1 * noise + ("norm" in name or ".ln_" in name) * ("weight" in name)
        is_position = any(part in name for part in ("wpe", "position"))
        is_table = any(part in name for part in ("wte", "embed", "head"))
        # Positions say much and matrices little: else a tied model repeats one token, and attention sees one place.
        spread = 12.0 if is_position else 4.0 if is_table else 1.1
        return noise * spread / tensor.shape[-1 if is_table or is_position else -2] ** 0.5

    return {name: draw(name, tensor) for name, tensor in tensors.items() if tensor.is_floating_point()}


@pytest.fixture(scope="session")
def write_foreign() -> Callable[..., Path]:
    """``write_foreign(folder, config, tensors)``: a model folder as others write it."""

    def write(folder: Path, config: dict[str, Any], tensors: Tensors) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
        save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, folder / "model.safetensors")
        return folder

    return write


@pytest.fixture(scope="session")
def byte_tokenizer() -> Tokenizer:
    return make_tokenizer("byte", lambda: iter(()))


def foreign_model(config: dict[str, Any], seed: int = 0) -> nn.Module:
    """transformers' model of a config, all its tensors redrawn."""
    from transformers import AutoConfig, AutoModelForCausalLM

    values = dict(config)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(values.pop("model_type"), **values)).eval()
    state = model.state_dict()
    drawn = redraw({name: tensor for name, tensor in state.items() if not name.startswith("lm_head")}, seed)
    if not model.config.tie_word_embeddings:
        drawn |= redraw({"lm_head.weight": state["lm_head.weight"]}, seed + 1)
    model.load_state_dict(drawn, strict=False)
    return model


@torch.no_grad()
def their_logits(model: nn.Module, ids: Tensor) -> Tensor:
    logits: Tensor = model(ids).logits
    return logits


def from_pretrained(folder: Path) -> nn.Module:
    """The model in a folder as transformers reads it."""
    from transformers import AutoModelForCausalLM

    model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def random_ids(vocab_size: int, time: int = 48) -> Tensor:
    return torch.randint(0, vocab_size, (2, time), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def our_logits(model: LanguageModel, ids: Tensor) -> Tensor:
    batch = Batch.for_inputs(ids)
    return model.eval().logits(model.hidden_states(model.embed(batch), batch))


def assert_parity(ours: Tensor, theirs: Tensor) -> None:
    """Within 1e-4 of the spread of logits that are spread enough to tell."""
    spread = theirs.float().std()
    assert spread >= 3, f"logits with a spread of {spread:.2f} prove little"
    assert len(theirs.argmax(-1).unique()) >= 20, "a model that says few different things proves little"
    assert (ours - theirs).abs().max() <= 1e-4 * spread
