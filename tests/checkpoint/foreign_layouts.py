"""Model folders in the layouts that people have, each with what is otherwise there than in the plainest one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.checkpoint.conftest import Tensors, foreign_model

DROP = object()
"""In place of a value: the key is not there."""
HEAD = "lm_head.weight"
BASES: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": 257,
        "n_positions": 32,
        "n_embd": 32,
        "n_head": 4,
        "n_layer": 2,
        "bos_token_id": 256,
        "eos_token_id": 256,
    },
    "openai-gpt": {
        "model_type": "openai-gpt",
        "architectures": ["OpenAIGPTLMHeadModel"],
        "vocab_size": 257,
        "n_positions": 32,
        "n_embd": 32,
        "n_head": 4,
        "n_layer": 2,
    },
    "qwen3": {
        "model_type": "qwen3",
        "architectures": ["Qwen3ForCausalLM"],
        "vocab_size": 257,
        "max_position_embeddings": 32,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "rope_theta": 500.0,
        "tie_word_embeddings": True,
    },
}
PREFIX = {"gpt2": "transformer.", "openai-gpt": "transformer.", "qwen3": "model."}
EMBEDDING = {"gpt2": "wte.weight", "openai-gpt": "tokens_embed.weight", "qwen3": "embed_tokens.weight"}


@dataclass(frozen=True)
class Layout:
    """What a folder has otherwise than the plainest one of its model_type."""

    config: dict[str, Any] = field(default_factory=dict)
    tensors: Callable[[Tensors], Tensors] = dict
    """Changes the tensors that the one file would hold."""
    files: Callable[[Path], object] = lambda folder: None
    """Changes the folder."""
    base: str = "gpt2"

    @property
    def values(self) -> dict[str, Any]:
        """All of its config.json."""
        return {key: value for key, value in (BASES[self.base] | self.config).items() if value is not DROP}

    def write(self, folder: Path, drawn: dict[str, Any]) -> Path:
        """The folder, its weights drawn for a config."""
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(self.values))
        changed = self.tensors(draw(drawn))
        whole = {name: tensor.contiguous().clone() for name, tensor in changed.items()}
        save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
        self.files(folder)
        return folder


def draw(config: dict[str, Any]) -> Tensors:
    """The tensors of a folder of this config, as transformers saves them."""
    plain = {key: value for key, value in config.items() if key not in ("dtype", "torch_dtype")}
    return {name: tensor.clone() for name, tensor in _drawn(json.dumps(plain)).items()}


@lru_cache
def _drawn(config: str) -> Tensors:
    model = foreign_model(json.loads(config))
    is_tied = model.config.tie_word_embeddings
    return {name: tensor for name, tensor in model.state_dict().items() if not (is_tied and name == HEAD)}


def cast(dtype: torch.dtype, only: str = "") -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: t.to(dtype) if only in name else t for name, t in tensors.items()}


def without_prefix(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def with_head(tensors: Tensors) -> Tensors:
    return tensors | {HEAD: tensors["transformer.wte.weight"]}


def with_masks(tensors: Tensors) -> Tensors:
    mask = torch.ones(1, 1, 32, 32).tril()
    masks = {f"transformer.h.{layer}.attn.bias": mask.bool() for layer in range(2)}
    return tensors | masks | {f"transformer.h.{layer}.attn.masked_bias": torch.tensor(-1e4) for layer in range(2)}


def without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


def having(**more: Tensor) -> Callable[[Tensors], Tensors]:
    """With more tensors; ``__`` stands for a dot."""
    return lambda tensors: tensors | {name.replace("__", "."): tensor for name, tensor in more.items()}


def changing(name: str, change: Callable[[Tensor], object]) -> Callable[[Tensors], Tensors]:
    def apply(tensors: Tensors) -> Tensors:
        change(tensors[name])
        return tensors

    return apply


def split(folder: Path, keep_whole: bool = False) -> None:
    """The one file in three parts, with their index."""
    tensors = load_file(folder / "model.safetensors")
    files = {name: f"model-0000{1 + place % 3}-of-00003.safetensors" for place, name in enumerate(sorted(tensors))}
    for file in set(files.values()):
        part = {name: tensor for name, tensor in tensors.items() if files[name] == file}
        save_file(part, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    if not keep_whole:
        (folder / "model.safetensors").unlink()


def split_losing_a_part(folder: Path) -> None:
    split(folder)
    (folder / "model-00002-of-00003.safetensors").unlink()


def split_with_a_tensor_too_many(folder: Path) -> None:
    split(folder)
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["transformer.h.2.ln_1.weight"] = "model-00001-of-00003.safetensors"
    path.write_text(json.dumps(index))


def with_an_unnamed_part(folder: Path) -> None:
    split(folder)
    save_file({"old": torch.ones(1)}, folder / "model-00004-of-00004.safetensors")


def with_an_index_of_lost_parts(folder: Path) -> None:
    split(folder, keep_whole=True)
    for path in folder.glob("model-0*"):
        path.unlink()


def only(name: str, content: bytes = b"\x80\x02") -> Callable[[Path], object]:
    """The weights are in another file."""

    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / name).write_bytes(content)

    return change


def renamed(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.safetensors").rename(folder / name)


def adapter_alone(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "gpt2"}')


def adapter_beside(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "gpt2"}')


def gguf_alone(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    (folder / "gpt2.Q8_0.gguf").write_bytes(b"GGUF")


SUMMARY = {
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
}
DUMPED_BY_2 = SUMMARY | {
    "activation_function": "gelu_new",
    "attn_pdrop": 0.1,
    "bad_words_ids": None,
    "decoder_start_token_id": None,
    "do_sample": False,
    "early_stopping": False,
    "embd_pdrop": 0.1,
    "eos_token_ids": 0,
    "finetuning_task": None,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
    "initializer_range": 0.01,
    "is_decoder": False,
    "is_encoder_decoder": False,
    "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "layer_norm_epsilon": 1e-05,
    "length_penalty": 1.0,
    "max_length": 20,
    "min_length": 0,
    "n_ctx": 32,
    "no_repeat_ngram_size": 0,
    "num_beams": 1,
    "num_labels": 2,
    "num_return_sequences": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "output_past": True,
    "pad_token_id": None,
    "prefix": None,
    "pruned_heads": {},
    "repetition_penalty": 1.0,
    "resid_pdrop": 0.1,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "torchscript": False,
    "use_bfloat16": False,
    "use_cache": True,
    "xla_device": None,
}
"""What ``to_dict`` of transformers 2 has beside the sizes; other keys in other releases."""
DUMPED_BY_4 = {key: value for key, value in DUMPED_BY_2.items() if key not in ("xla_device", "eos_token_ids")} | {
    "_name_or_path": "gpt2",
    "add_cross_attention": False,
    "begin_suppress_tokens": None,
    "chunk_size_feed_forward": 0,
    "cross_attention_hidden_size": None,
    "diversity_penalty": 0.0,
    "encoder_no_repeat_ngram_size": 0,
    "exponential_decay_length_penalty": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "gradient_checkpointing": False,
    "n_inner": None,
    "num_beam_groups": 1,
    "output_scores": False,
    "problem_type": None,
    "remove_invalid_values": False,
    "reorder_and_upcast_attn": False,
    "return_dict": True,
    "return_dict_in_generate": False,
    "scale_attn_by_inverse_layer_idx": False,
    "scale_attn_weights": True,
    "sep_token_id": None,
    "suppress_tokens": None,
    "tf_legacy_loss": False,
    "tie_encoder_decoder": False,
    "tie_word_embeddings": True,
    "tokenizer_class": None,
    "torch_dtype": "float32",
    "transformers_version": "4.30.2",
    "typical_p": 1.0,
}
COMMON_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 32}
READ: dict[str, Layout] = {
    "as transformers 5 saves it": Layout({"dtype": "float32", "transformers_version": "5.23.0"}),
    "names without transformer., as OpenAI's on the hub": Layout(tensors=without_prefix("transformer.")),
    "from GPT2Model, which has no head": Layout(
        {"architectures": ["GPT2Model"]}, tensors=without_prefix("transformer.")
    ),
    "the head beside the embedding, the same": Layout(tensors=with_head),
    "the head beside the embedding, in another precision": Layout(
        tensors=lambda tensors: with_head(cast(torch.bfloat16)(tensors)) | cast(torch.bfloat16, "wte")(tensors)
    ),
    "the head alone, as safetensors' save_model leaves it of two that share memory": Layout(
        tensors=lambda tensors: without("transformer.wte.weight")(with_head(tensors))
    ),
    "a head of its own": Layout({"tie_word_embeddings": False}),
    "masks among the weights, as before transformers 4.28": Layout(tensors=with_masks),
    "masks among the weights, without transformer.": Layout(
        tensors=lambda tensors: without_prefix("transformer.")(with_masks(tensors))
    ),
    "float16": Layout({"torch_dtype": "float16"}, tensors=cast(torch.float16)),
    "bfloat16": Layout({"dtype": "bfloat16"}, tensors=cast(torch.bfloat16)),
    "matrices in bfloat16, the rest in float32": Layout(tensors=cast(torch.bfloat16, "c_")),
    "in parts": Layout(files=split),
    "in parts, and one that the index does not name": Layout(files=with_an_unnamed_part),
    "whole, beside an index of parts that are gone": Layout(files=with_an_index_of_lost_parts),
    "all in config.json left out but the width": Layout(
        dict.fromkeys(BASES["gpt2"], DROP) | {"model_type": "gpt2", "n_embd": 24}
    ),
    "n_inner null": Layout({"n_inner": None}),
    "n_inner not four times the width": Layout({"n_inner": 48}),
    **{
        f"activation {name}": Layout({"activation_function": name})
        for name in (
            *("gelu", "gelu_python", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh"),
            *("gelu_python_tanh", "relu", "silu", "swish"),
        )
    },
    "another epsilon": Layout({"layer_norm_epsilon": 0.1}),
    "scores scaled by the layer too, as stanford-crfm's": Layout(
        {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True}
    ),
    "scores not scaled": Layout({"scale_attn_weights": False}),
    "a context in n_ctx that is shorter than n_positions": Layout({"n_ctx": 16}),
    "an embedding padded to a multiple of 64": Layout({"vocab_size": 320}),
    "sizes by the names that all families share": Layout(
        COMMON_SIZES | dict.fromkeys(("n_embd", "n_layer", "n_head", "n_positions"), DROP)
    ),
    "sizes by both names": Layout(COMMON_SIZES),
    "a decoder without cross-attention": Layout({"is_decoder": True, "add_cross_attention": False}),
    "dumped whole by transformers 2": Layout(DUMPED_BY_2),
    "dumped whole by transformers 4": Layout(DUMPED_BY_4),
    "several end tokens": Layout({"eos_token_id": [256, 10], "bos_token_id": 1, "pad_token_id": 0}),
    "labels, and settings of tasks": Layout(
        {"id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}, "initializer_range": 0.5}
        | {"task_specific_params": {"conversational": {"max_length": 1000}}, "use_cache": False}
        | {"problem_type": "single_label_classification", "transformers.js_config": {"dtype": "q8"}}
    ),
    "gpt1 as OpenAI's on the hub": Layout(
        {"afn": "gelu", "n_ctx": 32, "n_special": 0, "predict_special_tokens": True} | SUMMARY, base="openai-gpt"
    ),
    "gpt1 with places among the weights": Layout(
        base="openai-gpt", tensors=having(transformer__position_ids=torch.arange(32))
    ),
    "gpt1, silu": Layout({"afn": "silu"}, base="openai-gpt"),
    "qwen3 as Qwen's on the hub": Layout(
        {"attention_bias": False, "attention_dropout": 0.0, "rope_scaling": None, "use_sliding_window": False}
        | {"sliding_window": None, "max_window_layers": 28, "torch_dtype": "bfloat16", "rope_theta": 1000000},
        base="qwen3",
        tensors=cast(torch.bfloat16),
    ),
    "qwen3 as transformers 5 saves it": Layout(
        {"rope_theta": DROP, "rope_parameters": {"rope_theta": 700.0, "rope_type": "default"}}
        | {"layer_types": ["full_attention"] * 2, "sliding_window": None, "dtype": "float32"},
        base="qwen3",
    ),
    "qwen3 with a rope_scaling that scales nothing": Layout({"rope_scaling": {"type": "default"}}, base="qwen3"),
    "qwen3 without rope_theta": Layout({"rope_theta": DROP}, base="qwen3"),
    "qwen3 with a window that is not used": Layout({"sliding_window": 4096, "max_window_layers": 1}, base="qwen3"),
    "qwen3 with heads wider than hidden_size / heads": Layout({"head_dim": 20}, base="qwen3"),
    "qwen3 with as many keys as queries by null": Layout({"num_key_value_heads": None}, base="qwen3"),
    "qwen3 with a head of its own": Layout({"tie_word_embeddings": False}, base="qwen3"),
    "qwen3 without model., and its wavelengths among the weights": Layout(
        base="qwen3", tensors=lambda t: without_prefix("model.")(t) | {"rotary_emb.inv_freq": torch.ones(4)}
    ),
    "qwen3 with all left out of config.json that is optional": Layout(
        dict.fromkeys(BASES["qwen3"], DROP)
        | {"model_type": "qwen3", "vocab_size": 257, "hidden_size": 16, "intermediate_size": 32}
        | {"num_hidden_layers": 1},
        base="qwen3",
    ),
}
NAN = float("nan")
REFUSED: dict[str, tuple[Layout, str]] = {
    "tied by config.json, with another head": (
        Layout(tensors=having(lm_head__weight=torch.ones(257, 32))),
        "lm_head.weight is not the token embedding, but tie_word_embeddings is true",
    ),
    "untied by config.json, without a head": (
        Layout({"tie_word_embeddings": False}),
        "the tensor 'lm_head.weight' is missing",
    ),
    "qwen3 untied by default, without a head": (
        Layout({"tie_word_embeddings": DROP}, base="qwen3"),
        "the tensor 'lm_head.weight' is missing",
    ),
    "tie_word_embeddings null": (Layout({"tie_word_embeddings": None}), "tie_word_embeddings is null"),
    "a weight twice, with the prefix and without": (
        Layout(tensors=lambda tensors: tensors | {"ln_f.bias": torch.ones(32)}),
        r"two tensors for one weight: 'ln_f.bias' and 'transformer.ln_f.bias'",
    ),
    "a part is missing": (Layout(files=split_losing_a_part), "model-00002-of-00003.safetensors is missing"),
    "the index has a tensor that its file has not": (
        Layout(files=split_with_a_tensor_too_many),
        "the tensor 'transformer.h.2.ln_1.weight' is missing.*model-00001-of-00003",
    ),
    "cross-attention": (Layout({"add_cross_attention": True}), "add_cross_attention = True changes the maths"),
    "an encoder too": (Layout({"is_encoder_decoder": True}), "is_encoder_decoder = True changes the maths"),
    "heads taken out": (Layout({"pruned_heads": {"0": [1]}}), r"pruned_heads = .* changes the maths"),
    "layers of other sizes": (Layout({"per_layer_config": {"0": {"n_inner": 8}}}), "per_layer_config = .* changes"),
    "an activation that we do not have": (Layout({"activation_function": "quick_gelu"}), "activation 'quick_gelu'"),
    "quantised by bitsandbytes": (
        Layout({"quantization_config": {"quant_method": "bitsandbytes"}}),
        "quantization_config = .* changes the maths",
    ),
    "quantised by MLX": (Layout({"quantization": {"bits": 4}}), "quantization = .* changes the maths"),
    "whole numbers for weights": (
        Layout(tensors=lambda tensors: tensors | {"transformer.wte.weight": torch.ones(257, 32, dtype=torch.int8)}),
        r"'transformer.wte.weight' is torch.int8.*expected float32, bfloat16 or float16",
    ),
    "eight bits for weights": (
        Layout(tensors=cast(torch.float8_e4m3fn, "c_fc.weight")),
        r"c_fc.weight' is torch.float8_e4m3fn.*expected float32, bfloat16 or float16",
    ),
    "a classifier": (
        Layout(
            {"architectures": ["GPT2ForSequenceClassification"]},
            tensors=lambda tensors: tensors | {"score.weight": torch.ones(2, 32)},
        ),
        "the tensor 'score.weight' belongs to a head that sorts texts into classes",
    ),
    "two heads": (
        Layout(tensors=lambda tensors: tensors | {"multiple_choice_head.summary.bias": torch.ones(1)}),
        "'multiple_choice_head.summary.bias' belongs to a head that chooses among answers",
    ),
    "a value head": (
        Layout(tensors=lambda tensors: tensors | {"v_head.summary.bias": torch.ones(1)}),
        "'v_head.summary.bias' belongs to a head that guesses rewards",
    ),
    "names of a compiled module": (
        Layout(tensors=lambda tensors: {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()}),
        r"unexpected tensor '_orig_mod.transformer",
    ),
    "an adapter alone": (Layout(files=adapter_alone), r"holds an adapter \(adapter_config.json\).*with --adapter"),
    "an adapter beside a model": (Layout(files=adapter_beside), r"holds an adapter \(adapter_config.json\)"),
    "a pickle": (Layout(files=only("pytorch_model.bin")), r"pytorch_model.bin is a pickle"),
    "TensorFlow's file": (Layout(files=only("tf_model.h5")), r"tf_model.h5 is in TensorFlow's format"),
    "Flax's file": (Layout(files=only("flax_model.msgpack")), r"flax_model.msgpack is in Flax's format"),
    "a file of llama.cpp's alone": (Layout(files=gguf_alone), r"gpt2.Q8_0.gguf is in llama.cpp's format"),
    "weights under another name": (
        Layout(files=renamed("model.fp16.safetensors")),
        r"no model.safetensors in .*, but model.fp16.safetensors; call it model.safetensors",
    ),
    "code in the folder": (
        Layout({"auto_map": {"AutoModelForCausalLM": "modeling.Other"}}),
        "auto_map asks to run code of the folder",
    ),
    "a family that we do not have": (
        Layout({"model_type": "gpt_neo"}),
        "model_type 'gpt_neo'.*expected one of gpt2, openai-gpt, qwen3",
    ),
    "no model_type, as in 2019": (Layout({"model_type": DROP}), "the key 'model_type' is missing.*one of gpt2"),
    "a key nobody knows": (Layout({"num_experts": 8}), "unknown key 'num_experts'.*remove it if it does not change"),
    "NaN": (
        Layout(tensors=changing("transformer.h.1.mlp.c_fc.bias", lambda t: t[7].fill_(NAN))),
        r"the tensor 'transformer.h.1.mlp.c_fc.bias' has values that are not finite",
    ),
    "infinite, where float16 was too narrow": (
        Layout(
            tensors=lambda tensors: cast(torch.float16)(
                changing("transformer.wpe.weight", lambda t: t[0, 0].fill_(1e6))(tensors)
            )
        ),
        r"the tensor 'transformer.wpe.weight' has values that are not finite",
    ),
    "qwen3 with NaN in one of three matrices": (
        Layout(base="qwen3", tensors=changing("model.layers.0.self_attn.k_proj.weight", lambda t: t[0].fill_(NAN))),
        r"the tensor 'model.layers.0.self_attn.k_proj.weight' has values that are not finite",
    ),
    "fewer tokens than config.json says": (
        Layout({"vocab_size": 320}),
        r"'transformer.wte.weight' has the shape \[257, 32\].*expected \[320, 32\]",
    ),
    "two widths": (Layout({"hidden_size": 64}), "hidden_size = 64 and n_embd = 32"),
    "qwen3 with a longer context by YaRN": (
        Layout({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, base="qwen3"),
        "rope_scaling = .*yarn.* changes the maths",
    ),
    "qwen3 with a longer context, as transformers 5 has it": (
        Layout({"rope_parameters": {"rope_type": "linear", "rope_theta": 500.0, "factor": 2.0}}, base="qwen3"),
        "rope_parameters = .*linear.* changes the maths",
    ),
    "qwen3 with two bases of positions": (
        Layout({"rope_parameters": {"rope_type": "default", "rope_theta": 600.0}}, base="qwen3"),
        "rope_theta = 500.0, and 600.0 in rope_parameters",
    ),
    "qwen3 that turns a part of each head": (
        Layout({"partial_rotary_factor": 0.5}, base="qwen3"),
        "partial_rotary_factor = 0.5 changes the maths",
    ),
    "qwen3 with a window": (
        Layout({"use_sliding_window": True, "sliding_window": 8}, base="qwen3"),
        "use_sliding_window = True changes the maths|sliding_window = 8 changes the maths",
    ),
    "qwen3 with a window in some layers": (
        Layout({"layer_types": ["full_attention", "sliding_attention"]}, base="qwen3"),
        "layer_types = .* changes the maths",
    ),
    "qwen3 with biases": (Layout({"attention_bias": True}, base="qwen3"), "attention_bias = True changes the maths"),
    "qwen3 with a projection twice": (
        Layout(base="qwen3", tensors=lambda t: t | {"layers.0.self_attn.q_proj.weight": torch.ones(32, 32)}),
        r"two tensors for one weight: .*layers.0.self_attn.q_proj.weight",
    ),
}
