"""The same adapter's folder gives the same logits in PEFT and here, whoever wrote it, folded in or not."""

import copy
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.checkpoint.conftest import from_pretrained, our_logits, random_ids, their_logits
from tests.checkpoint.test_parity import GPT2, QWEN3
from textwright.checkpoint.adapter import load_adapter, save_adapter
from textwright.checkpoint.model_folder import load_model, save_model
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel
from textwright.models.lora import LoraConfig, add_lora, merge_lora
from textwright.models.presets import preset
from textwright.tokens import Tokenizer

# Looked for and not imported: that takes seconds, which only the worker that runs these tests is to spend.
pytestmark = [
    pytest.mark.skipif(find_spec("peft") is None, reason="peft is not installed: the extra test has it"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

NEAR = 1e-5
SMALL = {"vocab_size": 300, "n_embd": 32, "n_head": 4, "n_positions": 64}
BASES: dict[str, dict[str, Any]] = {
    "gpt2": GPT2 | {"vocab_size": 300, "n_embd": 32, "n_head": 4, "n_positions": 64},
    "openai-gpt": {
        "model_type": "openai-gpt",
        "vocab_size": 300,
        "n_embd": 32,
        "n_head": 4,
        "n_layer": 2,
        "n_positions": 64,
    },
    "qwen3": QWEN3 | {"num_key_value_heads": 2, "hidden_size": 32, "intermediate_size": 48, "head_dim": 12},
}
THEIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2, as it is": ("gpt2", {}),
    "gpt2, all": ("gpt2", {"target_modules": ["c_attn", "c_proj", "c_fc"], "r": 4, "lora_alpha": 3}),
    "gpt2, one of two of that name": ("gpt2", {"target_modules": ["mlp.c_proj"]}),
    "gpt2, a regular expression": ("gpt2", {"target_modules": r".*\.h\.1\..*c_(attn|fc)"}),
    "gpt2, one layer": ("gpt2", {"target_modules": ["c_attn", "c_fc"], "layers_to_transform": [1]}),
    "gpt2, stabilised": ("gpt2", {"target_modules": "all-linear", "use_rslora": True, "r": 6}),
    "gpt2, ranks and alphas": (
        "gpt2",
        {"target_modules": ["c_attn", "c_fc"], "rank_pattern": {"c_attn": 5}, "alpha_pattern": {"h.0.mlp.c_fc": 2}},
    ),
    "openai-gpt": ("openai-gpt", {"target_modules": ["c_attn", "c_proj"]}),
    "qwen3, as it is": ("qwen3", {}),
    "qwen3, all": ("qwen3", {"target_modules": "all-linear", "r": 3}),
    "qwen3, some": ("qwen3", {"target_modules": ["k_proj", "o_proj", "gate_proj"]}),
    "qwen3, ranks": (
        "qwen3",
        {
            "target_modules": ["q_proj", "k_proj", "v_proj"],
            "rank_pattern": {"q_proj": 5},
            "alpha_pattern": {"v_proj": 1},
        },
    ),
}
OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2, all": ("nano", {}),
    "gpt2, queries and values": ("nano", {"targets": ("query", "value")}),
    "gpt2, keys and an output": ("nano", {"targets": ("key", "out"), "rank": 5}),
    "gpt2, stabilised": ("nano", {"targets": ("query", "key", "up"), "rank_stabilised": True}),
    "gpt1, all": ("gpt1-nano", {"alpha": 3.5}),
    "qwen3, all": ("qwen3-nano", {}),
    "qwen3, queries and values": ("qwen3-nano", {"targets": ("query", "value")}),
    "qwen3, gate and down": ("qwen3-nano", {"targets": ("gate", "down", "out"), "rank_stabilised": True, "rank": 6}),
}


def stirred(module: nn.Module, seed: int = 0) -> nn.Module:
    """With weights that say something: biases and gains too, and B matrices that are not zeros."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.08)
    return module.eval()


@pytest.mark.parametrize("name", THEIRS)
def test_an_adapter_that_peft_wrote_is_read_with_the_same_logits(name: str, tmp_path: Path) -> None:
    import peft
    from transformers import AutoConfig, AutoModelForCausalLM

    base, values = THEIRS[name]
    described = dict(BASES[base])
    shape = AutoConfig.for_model(described.pop("model_type"), **described)
    stirred(AutoModelForCausalLM.from_config(shape)).save_pretrained(tmp_path / "base")
    theirs = peft.get_peft_model(
        from_pretrained(tmp_path / "base"), peft.LoraConfig(task_type="CAUSAL_LM", **{"lora_dropout": 0.1} | values)
    )
    for adapted in (module for key, module in theirs.named_modules() if "lora_" in key.rpartition(".")[2]):
        stirred(adapted, seed=1)
    theirs.eval().save_pretrained(tmp_path / "adapter")

    ours = load_model(tmp_path / "base").eval()
    ids = random_ids(ours.vocab_size)
    plain, expected = our_logits(ours, ids), their_logits(theirs, ids)
    assert (expected - plain).abs().max() > 0.05
    config = load_adapter(ours, tmp_path / "adapter")
    assert config.dropout == 0.1
    assert (our_logits(ours, ids) - expected).abs().max() <= NEAR
    save_adapter(ours, tmp_path / "again")  # and by PEFT again
    again = peft.PeftModel.from_pretrained(from_pretrained(tmp_path / "base"), tmp_path / "again")
    assert (their_logits(again, ids) - expected).abs().max() <= NEAR
    merge_lora(ours)
    merged = their_logits(theirs.merge_and_unload(), ids)
    assert (our_logits(ours, ids) - merged).abs().max() <= NEAR
    assert (merged - expected).abs().max() <= NEAR


@pytest.mark.parametrize("name", OURS)
def test_an_adapter_of_ours_is_read_by_peft_with_the_same_logits(
    name: str, tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    import peft

    base, values = OURS[name]
    ours = build(preset(base, vocab_size=257).model_copy(update={"num_layers": 2}))
    assert isinstance(ours, LanguageModel)
    stirred(ours)
    save_model(ours, byte_tokenizer, tmp_path / "base")
    ids = random_ids(257)
    plain = our_logits(ours, ids)
    add_lora(ours, LoraConfig.model_validate(values))
    for key, parameter in ours.named_parameters():
        if key.endswith(".lora_b"):
            parameter.data += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(len(key))) * 0.05
    save_adapter(ours, tmp_path / "adapter", base=tmp_path / "base")
    expected = our_logits(ours, ids)
    assert (expected - plain).abs().max() > 0.05

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        theirs = peft.AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.float32).eval()
    said = [str(one.message) for one in warned]
    assert not [one for one in said if "adapter" in one.lower() or "keyword" in one.lower() or "fan_in" in one], said
    assert (their_logits(theirs, ids) - expected).abs().max() <= NEAR
    merged = their_logits(copy.deepcopy(theirs).merge_and_unload(), ids)
    merge_lora(ours)
    assert (our_logits(ours, ids) - merged).abs().max() <= NEAR
    assert (merged - expected).abs().max() <= NEAR
