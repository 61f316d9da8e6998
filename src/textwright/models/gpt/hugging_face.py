"""GPTs in Hugging Face's model folders: openai-gpt, gpt2, qwen3, and a ``model_type`` of our own for all others."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.models.config import ModelConfig
from textwright.models.gpt.config import GPTConfig
from textwright.models.hugging_face import HuggingFaceAdapter
from textwright.models.layers.positions import sinusoidal_table

ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""How Hugging Face calls the nonlinearities."""
POSITIONS = "position_embedding.weight"
QUERY_KEY_VALUE = ("q_proj", "k_proj", "v_proj")
ROPE_TABLES = ("rope_scaling", "rope_parameters")
"""Where the base of rotary positions, and what is done to them, may stand."""


class GPTAdapter(HuggingFaceAdapter):
    """What is the same for all of them."""

    def read_values(self, values: dict[str, Any], where: str, ours: Mapping[str, Any]) -> dict[str, Any]:
        """The activation by our name; positions that are computed are stored as learned ones, and ours tells."""
        if "activation" in values:
            values["activation"] = self._read_activation(values["activation"], where)
        # Whether they still are is checked against the table itself. Textwright 0.1 wrote "positions".
        if "sinusoidal" in (ours.get("position_encoding"), ours.get("positions")):
            values["position_encoding"] = "sinusoidal"
        return values

    def write_values(self, config: ModelConfig) -> dict[str, Any]:
        """The activation by their name, and how weights were drawn."""
        assert isinstance(config, GPTConfig)
        written: dict[str, Any] = {"initializer_range": config.init_std}
        activation = self._write_activation(config)
        return written | {theirs: activation for theirs, mine in self.keys.items() if mine == "activation"}

    def from_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig, where: str) -> dict[str, Tensor]:
        """As ``HuggingFaceAdapter``, without a table that is computed."""
        assert isinstance(config, GPTConfig)
        found = super().from_hf(tensors, config, where)
        if config.position_encoding == "sinusoidal":
            _check_is_sinusoidal(found.pop(POSITIONS, None), config, where)
        return found

    def _read_activation(self, name: str, where: str) -> str:
        if name not in ACTIVATIONS:
            raise InputError(f"the activation {name!r}", where=where, expected=f"one of {', '.join(ACTIVATIONS)}")
        return ACTIVATIONS[name]

    def _write_activation(self, config: GPTConfig) -> str:
        return {"gelu_tanh": "gelu_new"}.get(config.activation, config.activation)


class OpenAIGPTAdapter(GPTAdapter):
    """GPT-1's "gelu" is the tanh form."""

    def _read_activation(self, name: str, where: str) -> str:
        return "gelu_tanh" if name == "gelu" else super()._read_activation(name, where)

    def _write_activation(self, config: GPTConfig) -> str:
        return "gelu" if config.activation == "gelu_tanh" else config.activation


class Qwen3Adapter(GPTAdapter):
    """Queries, keys and values are three matrices there."""

    def read_config(self, foreign: Mapping[str, Any], where: str, ours: Mapping[str, Any]) -> ModelConfig:
        """As ``HuggingFaceAdapter``; what is said of rotary positions may stand in a table of its own."""
        return super().read_config(_plain_keys(dict(foreign), where), where, ours)

    def from_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig, where: str) -> dict[str, Tensor]:
        """As ``HuggingFaceAdapter``, the three stacked."""
        layers: dict[str, dict[str, Tensor]] = {}
        rest: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            match = re.fullmatch(r"(?:model\.)?layers\.(\d+)\.self_attn\.([qkv]_proj)\.weight", name)
            if match:
                if match[2] in layers.setdefault(match[1], {}):
                    raise InputError(f"two tensors for one weight: {name!r}, with and without 'model.'", where=where)
                layers[match[1]][match[2]] = tensor
            else:
                rest[name] = tensor
        found = super().from_hf(rest, config, where)
        for layer, parts in layers.items():
            for part in QUERY_KEY_VALUE:
                if part not in parts:
                    raise InputError(f"the tensor model.layers.{layer}.self_attn.{part}.weight is missing", where=where)
            found[f"blocks.{layer}.attention.qkv.weight"] = torch.cat([parts[part] for part in QUERY_KEY_VALUE])
        return found

    def to_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
        """As ``HuggingFaceAdapter``, the three apart."""
        assert isinstance(config, GPTConfig)
        rows = [config.num_heads, config.num_key_value_heads, config.num_key_value_heads]
        theirs: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            match = re.fullmatch(r"blocks\.(\d+)\.attention\.qkv\.weight", name)
            if not match:
                theirs |= super().to_hf({name: tensor}, config)
                continue
            parts = torch.split(tensor, [count * config.head_dim for count in rows])
            for part, value in zip(QUERY_KEY_VALUE, parts, strict=True):
                theirs[f"model.layers.{match[1]}.self_attn.{part}.weight"] = value
        return theirs


class OwnAdapter(GPTAdapter):
    """Keys, tensors and values are ours; what a GPT's config can say is said."""

    def read_values(
        self,
        values: dict[str, Any],
        where: str,  # noqa: ARG002
        ours: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, Any]:
        """As they are."""
        return values

    def write_values(self, config: ModelConfig) -> dict[str, Any]:  # noqa: ARG002
        """Nothing more."""
        return {}


def _plain_keys(foreign: dict[str, Any], where: str) -> dict[str, Any]:
    """Qwen3's config without keys of which only the plain values are ours."""
    for key in ROPE_TABLES:
        table = foreign.pop(key, None)
        theta = _plain_rope_theta(key, table, where) if table else None
        if theta is None:
            continue
        if foreign.get("rope_theta") not in (None, theta):
            raise InputError(
                f"rope_theta = {foreign['rope_theta']!r}, and {theta!r} in {key}", where=where, expected="one value"
            )
        foreign["rope_theta"] = theta
    layers = foreign.pop("layer_types", None)
    kinds = layers if isinstance(layers, list) else [layers]
    if layers is not None and not all(kind in ("full_attention", "attention") for kind in kinds):
        raise InputError(f"layer_types = {layers!r} changes the maths", where=where, expected="full_attention")
    # The window is switched by use_sliding_window, which is checked itself.
    if not foreign.get("use_sliding_window"):
        foreign.pop("sliding_window", None)
    return foreign


def _plain_rope_theta(key: str, table: Any, where: str) -> Any:
    """What a table of rotary positions says of their base, where that is all that it says."""
    plain = {"rope_type": ("default",), "type": ("default",), "partial_rotary_factor": (1.0, None)}
    if not isinstance(table, dict) or any(
        name != "rope_theta" and value not in plain.get(name, ()) for name, value in table.items()
    ):
        raise InputError(f"{key} = {table!r} changes the maths", where=where, expected="plain rotary")
    return table.get("rope_theta")


def _check_is_sinusoidal(table: Tensor | None, config: GPTConfig, where: str) -> None:
    expected = sinusoidal_table(config.context_length, config.hidden_size)
    if table is None or table.shape != expected.shape or (table.float() - expected).abs().max() > 0.01:
        raise InputError(
            "the positions are not sinusoidal, though textwright.json says so",
            where=where,
            fix="remove textwright.json to read them as learned",
        )


def _has_plain_heads(config: GPTConfig) -> bool:
    """Whether heads fill the hidden size, each with its own keys and values."""
    return config.num_key_value_heads == config.num_heads and config.num_heads * config.head_dim == config.hidden_size


def _is_gpt2(config: GPTConfig) -> bool:
    plain_positions = config.position_encoding in ("learned", "sinusoidal")
    return config.family == "gpt2" and config.is_as_named and plain_positions and _has_plain_heads(config)


def _is_openai_gpt(config: GPTConfig) -> bool:
    plain_positions = config.position_encoding in ("learned", "sinusoidal")
    plain_scores = config.scales_attention and not config.scales_attention_by_layer
    plain = plain_positions and plain_scores and _has_plain_heads(config) and config.activation != "gelu"
    return config.family == "gpt1" and config.is_as_named and plain


def _is_qwen3(config: GPTConfig) -> bool:
    plain = config.position_encoding == "rotary" and config.scales_attention and not config.scales_attention_by_layer
    return config.family == "qwen3" and config.is_as_named and plain


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
_GPT2_SHAPE = {"n_layer": 12, "n_head": 12, "n_embd": 768, "embd_pdrop": 0.1, "attn_pdrop": 0.1, "resid_pdrop": 0.1}
_TRANSPOSED = r"h\.\d+\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight"

_GPT2_ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}

GPT2 = GPTAdapter(
    model_type="gpt2",
    class_name="GPT2LMHeadModel",
    config=GPTConfig,
    implies={"family": "gpt2", "position_encoding": "learned"},
    keys=_GPT2_KEYS
    | {
        "n_inner": "intermediate_size",
        "activation_function": "activation",
        "scale_attn_weights": "scales_attention",
        "scale_attn_by_inverse_layer_idx": "scales_attention_by_layer",
    },
    names=(("token_embedding.", "wte."), ("position_embedding.", "wpe."), *_GPT2_BLOCK, ("final_norm.", "ln_f.")),
    can_say=_is_gpt2,
    defaults=_GPT2_SHAPE | {"vocab_size": 50257, "n_positions": 1024, "activation_function": "gelu_new"},
    nullable=frozenset(("n_inner",)),
    aliases=_GPT2_ALIASES,
    prefix="transformer.",
    transposed=_TRANSPOSED,
    buffers=("h.{}.attn.bias", "h.{}.attn.masked_bias"),
)
OPENAI_GPT = OpenAIGPTAdapter(
    model_type="openai-gpt",
    class_name="OpenAIGPTLMHeadModel",
    config=GPTConfig,
    implies={"family": "gpt1", "position_encoding": "learned"},
    keys=_GPT2_KEYS | {"afn": "activation"},
    names=(("token_embedding.", "tokens_embed."), ("position_embedding.", "positions_embed."), *_GPT2_BLOCK),
    can_say=_is_openai_gpt,
    defaults=_GPT2_SHAPE | {"vocab_size": 40478, "n_positions": 512, "afn": "gelu"},
    aliases=_GPT2_ALIASES,
    prefix="transformer.",
    transposed=_TRANSPOSED,
    buffers=("h.{}.attn.bias", "position_ids"),
)
QWEN3 = Qwen3Adapter(
    model_type="qwen3",
    class_name="Qwen3ForCausalLM",
    config=GPTConfig,
    implies={"family": "qwen3", "position_encoding": "rotary"},
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
    can_say=_is_qwen3,
    defaults={
        "vocab_size": 151936,
        "max_position_embeddings": 32768,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "hidden_size": 4096,
        "intermediate_size": 22016,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    },
    nullable=frozenset(("num_key_value_heads", "head_dim")),
    aliases=dict.fromkeys(ROPE_TABLES, "rope_theta"),
    written={"attention_bias": False, "rope_scaling": None, "sliding_window": None, "use_sliding_window": False},
    prefix="model.",
    buffers=("layers.{}.self_attn.rotary_emb.inv_freq", "rotary_emb.inv_freq"),
)
TEXTWRIGHT_GPT = OwnAdapter(
    model_type="textwright-gpt",
    class_name="TextwrightGPTForCausalLM",
    config=GPTConfig,
    implies={},
    keys={name: name for name in GPTConfig.model_fields},
    nullable=frozenset(GPTConfig.model_fields),
    names=tuple(
        (name, name)
        for name in (
            *("token_embedding.", "position_embedding.", "final_norm."),
            *(f"blocks.{{}}.{part}." for part in ("attention.qkv", "attention.out", "mlp.gate", "mlp.up", "mlp.down")),
            *(f"blocks.{{}}.{part}_norm." for part in ("attention", "mlp", "attention.query", "attention.key")),
        )
    ),
)
