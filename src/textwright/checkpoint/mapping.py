"""Between Hugging Face's names and ours: config keys and tensors, for the three architectures we read and write.

Each config key of a foreign folder is used, harmless (it does not change what the model computes), or it changes the
maths: then it must have the one value we compute with, or the folder is refused by that key's name.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from textwright.core.config import read_config
from textwright.core.errors import InputError, nearest
from textwright.models.config import GPTConfig

# How Hugging Face calls the nonlinearities. openai-gpt's "gelu" is the tanh form.
ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}

# Of every architecture: names, generation, and how transformers is to return things.
HARMLESS = frozenset(
    (
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_name_or_path",
        "_num_labels",
        "architectures",
        "attn_implementation",
        "bos_token_id",
        "chunk_size_feed_forward",
        "decoder_start_token_id",
        "diversity_penalty",
        "do_sample",
        "dtype",
        "early_stopping",
        "eos_token_id",
        "finetuning_task",
        "gradient_checkpointing",
        "id2label",
        "initializer_range",
        "label2id",
        "length_penalty",
        "max_length",
        "max_window_layers",
        "min_length",
        "model_type",
        "n_ctx",
        "n_special",
        "no_repeat_ngram_size",
        "num_beams",
        "num_return_sequences",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "pad_token_id",
        "predict_special_tokens",
        "prefix",
        "problem_type",
        "reorder_and_upcast_attn",
        "repetition_penalty",
        "return_dict",
        "return_dict_in_generate",
        "sep_token_id",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "task_specific_params",
        "temperature",
        "tokenizer_class",
        "top_k",
        "top_p",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "use_bfloat16",
        "use_cache",
    )
)
# Keys of every architecture that change the maths, with the values that leave it as it is.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "is_decoder": (False, True, None),
    "cross_attention_hidden_size": (None,),
    "pruned_heads": ({}, None),
    "tie_encoder_decoder": (False, None),
    "quantization_config": (None,),
    "rope_scaling": (None,),
    "attention_bias": (False, None),
    "use_sliding_window": (False, None),
}


@dataclass(frozen=True)
class Architecture:
    """One foreign ``model_type``."""

    model_type: str
    class_name: str
    family: str
    keys: dict[str, str]
    """Foreign key -> field of GPTConfig."""
    positions: str
    names: tuple[tuple[str, str], ...]
    """Our tensor name -> theirs; ``{}`` is the layer. Stated without the prefix."""
    prefix: str
    """What stands before most names where the folder has a head."""
    is_transposed: bool
    """Whether the blocks' matrices are stored [in, out]."""
    buffers: tuple[str, ...] = ()
    """Tensors that are no weights."""
    defaults: dict[str, Any] = field(default_factory=dict)
    """What a key that is not there stands for."""
    neutral: dict[str, tuple[Any, ...]] = field(default_factory=dict)


_GPT2_BLOCK = (
    ("blocks.{}.attention.qkv.", "h.{}.attn.c_attn."),
    ("blocks.{}.attention.out.", "h.{}.attn.c_proj."),
    ("blocks.{}.mlp.up.", "h.{}.mlp.c_fc."),
    ("blocks.{}.mlp.down.", "h.{}.mlp.c_proj."),
    ("blocks.{}.attention_norm.", "h.{}.ln_1."),
    ("blocks.{}.mlp_norm.", "h.{}.ln_2."),
)
_GPT2_KEYS = {
    "vocab_size": "vocab_size",
    "n_positions": "context_length",
    "n_layer": "num_layers",
    "n_head": "num_heads",
    "n_embd": "hidden_size",
    "layer_norm_epsilon": "norm_eps",
    "embd_pdrop": "dropout_embedding",
    "attn_pdrop": "dropout_attention",
    "resid_pdrop": "dropout_residual",
    "tie_word_embeddings": "tie_embeddings",
}
ARCHITECTURES: dict[str, Architecture] = {
    "gpt2": Architecture(
        model_type="gpt2",
        class_name="GPT2LMHeadModel",
        family="gpt2",
        keys=_GPT2_KEYS
        | {
            "n_inner": "intermediate_size",
            "activation_function": "activation",
            "scale_attn_weights": "scales_attention",
            "scale_attn_by_inverse_layer_idx": "scales_attention_by_layer",
        },
        positions="learned",
        names=(
            ("token_embedding.", "wte."),
            ("position_embedding.", "wpe."),
            *_GPT2_BLOCK,
            ("final_norm.", "ln_f."),
        ),
        prefix="transformer.",
        is_transposed=True,
        buffers=("h.{}.attn.bias", "h.{}.attn.masked_bias"),
        defaults={
            "vocab_size": 50257,
            "n_positions": 1024,
            "n_layer": 12,
            "n_head": 12,
            "n_embd": 768,
            "activation_function": "gelu_new",
            "embd_pdrop": 0.1,
            "attn_pdrop": 0.1,
            "resid_pdrop": 0.1,
        },
    ),
    "openai-gpt": Architecture(
        model_type="openai-gpt",
        class_name="OpenAIGPTLMHeadModel",
        family="gpt1",
        keys=_GPT2_KEYS | {"afn": "activation"},
        positions="learned",
        names=(
            ("token_embedding.", "tokens_embed."),
            ("position_embedding.", "positions_embed."),
            *_GPT2_BLOCK,
        ),
        prefix="transformer.",
        is_transposed=True,
        buffers=("h.{}.attn.bias", "position_ids"),
        defaults={
            "vocab_size": 40478,
            "n_positions": 512,
            "n_layer": 12,
            "n_head": 12,
            "n_embd": 768,
            "afn": "gelu",
            "embd_pdrop": 0.1,
            "attn_pdrop": 0.1,
            "resid_pdrop": 0.1,
        },
    ),
    "qwen3": Architecture(
        model_type="qwen3",
        class_name="Qwen3ForCausalLM",
        family="qwen3",
        keys={
            "vocab_size": "vocab_size",
            "max_position_embeddings": "context_length",
            "num_hidden_layers": "num_layers",
            "num_attention_heads": "num_heads",
            "num_key_value_heads": "num_key_value_heads",
            "head_dim": "head_dim",
            "hidden_size": "hidden_size",
            "intermediate_size": "intermediate_size",
            "hidden_act": "activation",
            "rms_norm_eps": "norm_eps",
            "rope_theta": "rope_theta",
            "tie_word_embeddings": "tie_embeddings",
            "attention_dropout": "dropout_attention",
        },
        positions="rotary",
        names=(
            ("token_embedding.", "embed_tokens."),
            ("blocks.{}.attention.out.", "layers.{}.self_attn.o_proj."),
            ("blocks.{}.attention.query_norm.", "layers.{}.self_attn.q_norm."),
            ("blocks.{}.attention.key_norm.", "layers.{}.self_attn.k_norm."),
            ("blocks.{}.mlp.gate.", "layers.{}.mlp.gate_proj."),
            ("blocks.{}.mlp.up.", "layers.{}.mlp.up_proj."),
            ("blocks.{}.mlp.down.", "layers.{}.mlp.down_proj."),
            ("blocks.{}.attention_norm.", "layers.{}.input_layernorm."),
            ("blocks.{}.mlp_norm.", "layers.{}.post_attention_layernorm."),
            ("final_norm.", "norm."),
        ),
        prefix="model.",
        is_transposed=False,
        buffers=("layers.{}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"),
        defaults={
            "head_dim": 128,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
            "num_key_value_heads": 32,
        },
    ),
}
ARCHITECTURE_OF_FAMILY = {architecture.family: architecture for architecture in ARCHITECTURES.values()}
_QUERY_KEY_VALUE = ("q_proj", "k_proj", "v_proj")
_TRANSPOSED = re.compile(r"h\.\d+\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight")


def architecture_of(config: dict[str, Any], where: str) -> Architecture:
    """The architecture a ``config.json`` names. Raises InputError for one that we do not read."""
    name = config.get("model_type")
    if name not in ARCHITECTURES:
        raise InputError(f"model_type {name!r}", where=where, expected=f"one of {', '.join(sorted(ARCHITECTURES))}")
    return ARCHITECTURES[name]


def read_model_config(config: dict[str, Any], where: str) -> GPTConfig:
    """Our config from a foreign ``config.json``.

    Raises:
        InputError: a key that changes the maths in a way we do not compute, a key nobody knows, or a value outside
            its range; always by name.
    """
    kind = architecture_of(config, where)
    config = _rope_spelled_the_old_way(dict(config), where)
    values: dict[str, Any] = {"family": kind.family, "position_encoding": kind.positions}
    _check_keys(kind, config, where)
    for theirs, ours in kind.keys.items():
        value = config.get(theirs, kind.defaults.get(theirs))
        if value is not None:
            values[ours] = value
    if kind.family == "gpt1" and values.get("activation") == "gelu":
        values["activation"] = "gelu_tanh"
    elif "activation" in values:
        if values["activation"] not in ACTIVATIONS:
            raise InputError(
                f"the activation {values['activation']!r}", where=where, expected=f"one of {', '.join(ACTIVATIONS)}"
            )
        values["activation"] = ACTIVATIONS[values["activation"]]
    return read_config(GPTConfig, values, where)


def _rope_spelled_the_old_way(config: dict[str, Any], where: str) -> dict[str, Any]:
    """Newer folders hold rope_theta inside rope_parameters."""
    parameters = config.pop("rope_parameters", None)
    if parameters:
        extra = {key: value for key, value in parameters.items() if key not in ("rope_theta", "rope_type")}
        if parameters.get("rope_type", "default") != "default" or extra:
            raise InputError(
                f"rope_parameters = {parameters!r} changes the maths", where=where, expected="plain rotary"
            )
        config["rope_theta"] = parameters.get("rope_theta", config.get("rope_theta"))
    return config


def _check_keys(kind: Architecture, config: dict[str, Any], where: str) -> None:
    for key, value in config.items():
        if key in kind.keys or key in HARMLESS:
            continue
        if key == "sliding_window":
            # Qwen3's is switched by use_sliding_window, which is checked itself.
            if value is not None and not (kind.model_type == "qwen3" and not config.get("use_sliding_window")):
                raise InputError(f"sliding_window = {value!r} changes the maths", where=where, expected="none")
            continue
        if key == "layer_types":
            if any(layer != "full_attention" for layer in value or ()):
                raise InputError(f"layer_types = {value!r} changes the maths", where=where, expected="full_attention")
            continue
        if key == "auto_map" or key == "trust_remote_code":
            raise InputError(f"{key} asks to run code of the folder", where=where, fix="Textwright runs none")
        neutral = NEUTRAL.get(key)
        if neutral is None:
            close = nearest(key, [*kind.keys, *NEUTRAL])
            raise InputError(
                f"unknown key {key!r}",
                where=where,
                fix=f"did you mean {close!r}?" if close else "remove it if it is yours",
            )
        if value not in neutral:
            raise InputError(f"{key} = {value!r} changes the maths", where=where, expected=repr(neutral[0]))


def write_model_config(config: GPTConfig, *, end_id: int, dtype: str) -> dict[str, Any]:
    """A ``config.json`` that transformers reads as the same model."""
    kind = ARCHITECTURE_OF_FAMILY[config.family]
    foreign_activation = {"gelu_tanh": "gelu_new"}.get(config.activation, config.activation)
    if kind.family == "gpt1" and config.activation == "gelu_tanh":
        foreign_activation = "gelu"
    written: dict[str, Any] = {"model_type": kind.model_type, "architectures": [kind.class_name]}
    for theirs, ours in kind.keys.items():
        written[theirs] = foreign_activation if ours == "activation" else getattr(config, ours)
    written |= {"bos_token_id": end_id, "eos_token_id": end_id, "torch_dtype": dtype, "use_cache": True}
    written["initializer_range"] = config.init_std
    if kind.model_type == "qwen3":
        written |= {"attention_bias": False, "rope_scaling": None, "sliding_window": None, "use_sliding_window": False}
    return written


def to_ours(tensors: dict[str, Tensor], config: GPTConfig, where: str) -> dict[str, Tensor]:
    """Foreign tensors under our names.

    Raises:
        InputError: a tensor that is unexpected, or (with an untied head) missing.
    """
    kind = ARCHITECTURE_OF_FAMILY[config.family]
    buffers = [re.compile(re.escape(name).replace(r"\{\}", r"\d+")) for name in kind.buffers]
    ours: dict[str, Tensor] = {}
    separate: dict[str, dict[str, Tensor]] = {}
    for foreign, tensor in tensors.items():
        name = foreign.removeprefix(kind.prefix)
        if any(buffer.fullmatch(name) for buffer in buffers):
            continue
        if name == "lm_head.weight":
            _take_head(ours, tensor, tensors, kind, config, where)
            continue
        if kind.is_transposed and _TRANSPOSED.fullmatch(name):
            tensor = tensor.t()
        if match := re.fullmatch(r"layers\.(\d+)\.self_attn\.([qkv]_proj)\.weight", name):
            separate.setdefault(match[1], {})[match[2]] = tensor
            continue
        translated = _translate(name, [(theirs, mine) for mine, theirs in kind.names])
        if translated is None:
            raise InputError(f"unexpected tensor {foreign!r}", where=where, expected=f"those of a {kind.model_type}")
        ours[translated] = tensor
    for layer, parts in separate.items():
        for part in _QUERY_KEY_VALUE:
            if part not in parts:
                raise InputError(f"the tensor model.layers.{layer}.self_attn.{part}.weight is missing", where=where)
        ours[f"blocks.{layer}.attention.qkv.weight"] = torch.cat([parts[part] for part in _QUERY_KEY_VALUE])
    return ours


def _take_head(
    ours: dict[str, Tensor],
    head: Tensor,
    tensors: dict[str, Tensor],
    kind: Architecture,
    config: GPTConfig,
    where: str,
) -> None:
    if not config.tie_embeddings:
        ours["untied_head.weight"] = head
        return
    embedding_name = kind.names[0][1] + "weight"
    embedding = tensors.get(kind.prefix + embedding_name, tensors.get(embedding_name))
    if embedding is None or not torch.equal(head, embedding):
        raise InputError(
            "lm_head.weight is not the token embedding, but tie_word_embeddings is true",
            where=where,
            fix="set tie_word_embeddings to false in config.json",
        )


def to_theirs(tensors: dict[str, Tensor], config: GPTConfig) -> dict[str, Tensor]:
    """Our tensors under the names that transformers' model with a head has."""
    kind = ARCHITECTURE_OF_FAMILY[config.family]
    theirs: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name == "untied_head.weight":
            theirs["lm_head.weight"] = tensor
            continue
        if kind.model_type == "qwen3" and (match := re.fullmatch(r"blocks\.(\d+)\.attention\.qkv\.weight", name)):
            sizes = [config.num_heads, config.num_key_value_heads, config.num_key_value_heads]
            parts = torch.split(tensor, [size * config.head_dim for size in sizes])
            for part, value in zip(_QUERY_KEY_VALUE, parts, strict=True):
                theirs[f"model.layers.{match[1]}.self_attn.{part}.weight"] = value
            continue
        translated = _translate(name, kind.names)
        assert translated is not None, name
        if kind.is_transposed and _TRANSPOSED.fullmatch(translated):
            tensor = tensor.t()
        theirs[kind.prefix + translated] = tensor
    return theirs


def _translate(name: str, names: Iterable[tuple[str, str]]) -> str | None:
    for source, target in names:
        match = re.fullmatch(re.escape(source).replace(r"\{\}", r"(\d+)") + r"(weight|bias)", name)
        if match:
            return target.replace("{}", match[1]) + match[match.lastindex or 0]
    return None
