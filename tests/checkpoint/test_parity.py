"""The same folder gives the same logits in transformers and here, whoever wrote it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.checkpoint.conftest import (
    assert_parity,
    foreign_model,
    from_pretrained,
    our_logits,
    random_ids,
    redraw,
    their_logits,
)
from textwright.checkpoint.model_folder import load_folder, load_model, save_model
from textwright.generation.generate import generate
from textwright.generation.request import SamplingConfig
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel
from textwright.models.presets import preset
from textwright.tokens import Tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

GPT2 = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 2}
ONE_BLOCK = {"n_layer": 1, "vocab_size": 500}
QWEN3 = {
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "vocab_size": 500,
    "hidden_size": 96,
    "intermediate_size": 200,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 24,
    "max_position_embeddings": 128,
}
FOREIGN: dict[str, dict[str, Any]] = {
    "gpt2": GPT2 | {"n_embd": 768, "n_head": 12, "n_layer": 12},
    # Of the wider ones a block and few tokens: all of GPT-2's layers and its table of tokens are in the first.
    "gpt2-medium": GPT2 | ONE_BLOCK | {"n_embd": 1024, "n_head": 16},
    "gpt2-large": GPT2 | ONE_BLOCK | {"n_embd": 1280, "n_head": 20},
    "gpt2-xl": GPT2 | ONE_BLOCK | {"n_embd": 1600, "n_head": 25},
    "gpt2, another activation, scaled by layer": GPT2
    | {
        "vocab_size": 300,
        "n_embd": 64,
        "n_head": 4,
        "n_inner": 100,
        "activation_function": "relu",
        "scale_attn_by_inverse_layer_idx": True,
        "layer_norm_epsilon": 1e-3,
    },
    "gpt2, unscaled, untied": GPT2
    | {"vocab_size": 300, "n_embd": 32, "n_head": 4, "scale_attn_weights": False, "tie_word_embeddings": False},
    "openai-gpt": {"model_type": "openai-gpt", "architectures": ["OpenAIGPTLMHeadModel"], "n_layer": 3},
    "qwen3 tied": QWEN3 | {"tie_word_embeddings": True},
    "qwen3 untied": QWEN3 | {"tie_word_embeddings": False},
    "qwen3, shared heads": QWEN3 | {"num_key_value_heads": 2, "rope_theta": 1e6, "rms_norm_eps": 1e-5},
    "qwen3, wide heads": QWEN3 | {"head_dim": 32, "num_key_value_heads": 1, "tie_word_embeddings": True},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_that_transformers_wrote_is_read_with_the_same_logits(name: str, tmp_path: Path) -> None:
    theirs = foreign_model(FOREIGN[name])
    theirs.save_pretrained(tmp_path)
    ours = load_model(tmp_path)
    ids = random_ids(ours.vocab_size)
    assert_parity(our_logits(ours, ids), their_logits(theirs, ids))


OURS: dict[str, dict[str, Any]] = {
    "nano": {},
    "nano, sinusoidal": {"position_encoding": "sinusoidal"},
    "gpt1-nano": {},
    "qwen3-nano": {},
    "qwen3-tiny": {},
}


@pytest.mark.parametrize("name", OURS)
def test_a_folder_of_ours_is_read_by_transformers_with_the_same_logits(
    name: str, tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    model = redrawn(name)
    save_model(model, byte_tokenizer, tmp_path / "model")
    ids = random_ids(model.vocab_size)
    ours = our_logits(model, ids)
    assert_parity(ours, their_logits(from_pretrained(tmp_path / "model"), ids))
    again, tokenizer = load_folder(tmp_path / "model")
    assert again.config == model.config
    assert torch.equal(our_logits(again, ids), ours)
    assert tokenizer.fingerprint == byte_tokenizer.fingerprint


def redrawn(name: str) -> LanguageModel:
    model = build(preset(name.split(",")[0], vocab_size=257, **OURS[name]))
    model.load_state_dict(redraw(model.state_dict()))
    return model.eval()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_folder_saved_in_half_precision_is_the_same_rounded_model_in_both(
    dtype: str, tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    model = redrawn("nano")
    save_model(model, byte_tokenizer, tmp_path / "model", dtype=dtype)
    ids = random_ids(model.vocab_size)
    rounded = our_logits(load_model(tmp_path / "model"), ids)
    assert_parity(rounded, their_logits(from_pretrained(tmp_path / "model"), ids))
    assert 0 < (rounded - our_logits(model, ids)).abs().max() < 0.3 * rounded.std()


SMALL = {
    "gpt2": GPT2 | {"vocab_size": 257, "n_embd": 32, "n_head": 4, "n_positions": 64},
    "openai-gpt": {
        "model_type": "openai-gpt",
        "vocab_size": 257,
        "n_embd": 32,
        "n_head": 4,
        "n_layer": 2,
        "n_positions": 64,
    },
    "qwen3": QWEN3 | {"vocab_size": 257, "num_key_value_heads": 2},
}


@pytest.mark.parametrize("name", SMALL)
def test_the_comparison_notices_every_single_tensor(name: str, tmp_path: Path) -> None:
    theirs = foreign_model(SMALL[name])
    theirs.save_pretrained(tmp_path)
    ids = random_ids(257, time=32)
    ours = our_logits(load_model(tmp_path), ids)
    assert_parity(ours, their_logits(theirs, ids))
    for tensor_name, parameter in theirs.named_parameters():
        before = parameter.detach().clone()
        parameter.data.zero_()
        changed = their_logits(theirs, ids)
        parameter.data.copy_(before)
        assert (changed - ours).abs().max() > 1e-2 * ours.std(), tensor_name


PROMPTS = ["a", "The quick", "x" * 30, "Once upon a time there", "1, 2, 3, ", "床前明月光", "  ", "def f(x):\n    "]


@pytest.mark.parametrize("name", SMALL)
def test_greedy_texts_of_ragged_prompts_are_transformers_one_by_one(
    name: str, tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    theirs = foreign_model(SMALL[name], seed=3)
    theirs.save_pretrained(tmp_path)
    byte_tokenizer.save(tmp_path)
    model, tokenizer = load_folder(tmp_path)
    sampling = SamplingConfig(max_new_tokens=30, temperature=0)
    chosen = set()
    for prompt, completion in zip(PROMPTS, generate(model.eval(), tokenizer, PROMPTS, sampling), strict=True):
        ids = tokenizer.encode(prompt)
        for ours, (best, margin) in zip(completion.token_ids, greedy(theirs, ids, completion.token_ids), strict=True):
            assert ours == best or margin < 1e-3
        chosen.update(completion.token_ids)
    assert len(chosen) >= 20


def greedy(model: nn.Module, prompt: list[int], chosen: tuple[int, ...]) -> Iterator[tuple[int, float]]:
    """Where the model is led along ``chosen``: its best token at each place, and by how much it is the best."""
    logits = their_logits(model, torch.tensor([[*prompt, *chosen]]))[0, len(prompt) - 1 : -1]
    for top in logits.unbind():
        values, ids = top.topk(2)
        yield int(ids[0]), float(values[0] - values[1])


HUB_COMMON = {
    "bos_token_id": 50256,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "activation_function": "gelu_new",
    "attn_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "n_ctx": 1024,
    "n_embd": 64,
    "n_head": 4,
    "n_layer": 2,
    "n_positions": 1024,
    "vocab_size": 50257,
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
}
HUB: dict[str, dict[str, Any]] = {
    "gpt2": HUB_COMMON | {"task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}},
    "distilgpt2": HUB_COMMON
    | {
        "_num_labels": 1,
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    },
    "DialoGPT": HUB_COMMON
    | {"task_specific_params": {"conversational": {"max_length": 1000}}, "transformers_version": "4.3.0"},
    "Qwen3": {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "head_dim": 32,
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.02,
        "intermediate_size": 128,
        "max_position_embeddings": 40960,
        "max_window_layers": 28,
        "model_type": "qwen3",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.51.0",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
}


def hub_layout(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A model's tensors with the names, buffers and dtypes that the hub's folder of it has."""
    if name == "Qwen3":
        return {key: tensor.bfloat16() for key, tensor in tensors.items() if key != "lm_head.weight"}
    mask = torch.tril(torch.ones(1024, 1024)).view(1, 1, 1024, 1024)
    plain = {key.removeprefix("transformer."): value for key, value in tensors.items() if key != "lm_head.weight"}
    buffers = {f"h.{layer}.attn.bias": mask for layer in range(2)}
    if name == "gpt2":
        return plain | buffers
    buffers = {key: mask.byte() for key in buffers}
    buffers |= {f"h.{layer}.attn.masked_bias": torch.tensor(-10000.0) for layer in range(2)}
    prefixed = {f"transformer.{key}": value for key, value in (plain | buffers).items()}
    return prefixed | {"lm_head.weight": plain["wte.weight"]}


@pytest.mark.parametrize("name", HUB)
def test_folders_in_the_hubs_layouts_are_read_as_transformers_reads_them(
    name: str, tmp_path: Path, write_foreign: Callable[..., Path]
) -> None:
    drawn = foreign_model(HUB[name])
    tensors = hub_layout(name, drawn.state_dict())
    folder = write_foreign(tmp_path / name, HUB[name], tensors)
    ids = random_ids(HUB[name]["vocab_size"], time=24)
    assert_parity(our_logits(load_model(folder), ids), their_logits(from_pretrained(folder), ids))


def test_a_sharded_folder_is_read_as_one(tmp_path: Path) -> None:
    theirs = foreign_model(SMALL["gpt2"])
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    ids = random_ids(257, time=32)
    assert_parity(our_logits(load_model(tmp_path), ids), their_logits(theirs, ids))
