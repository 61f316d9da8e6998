"""The shapes people ask for by name. Torch-free."""

from typing import Any

from textwright.core.config import answers_old_names, read_config
from textwright.core.errors import unknown_name
from textwright.models.config import GPTConfig

_GPT2 = {"family": "gpt2", "context_length": 1024}
_CPU = {"family": "gpt2", "context_length": 256}
_QWEN3 = {
    "family": "qwen3",
    "context_length": 256,
    "position_encoding": "rotary",
    "activation": "silu",
    "norm_eps": 1e-6,
}

# name -> the config without its vocabulary.
# gpt2*: Radford et al. 2019, table 2. gpt1: Radford et al. 2018, section 4.1, whose dropout is 0.1 everywhere.
# nano: the shape of the well-known CPU preset for characters, 0.80 M parameters.
PRESETS: dict[str, dict[str, Any]] = {
    "gpt2": _GPT2 | {"num_layers": 12, "num_heads": 12, "hidden_size": 768},
    "gpt2-medium": _GPT2 | {"num_layers": 24, "num_heads": 16, "hidden_size": 1024},
    "gpt2-large": _GPT2 | {"num_layers": 36, "num_heads": 20, "hidden_size": 1280},
    "gpt2-xl": _GPT2 | {"num_layers": 48, "num_heads": 25, "hidden_size": 1600},
    "gpt1": {"family": "gpt1", "context_length": 512, "num_layers": 12, "num_heads": 12, "hidden_size": 768},
    "nano": _CPU | {"context_length": 64, "num_layers": 4, "num_heads": 4, "hidden_size": 128},
    "tiny": _CPU | {"num_layers": 4, "num_heads": 4, "hidden_size": 256},
    "small": _CPU | {"context_length": 512, "num_layers": 8, "num_heads": 8, "hidden_size": 448},
    "gpt1-nano": {"family": "gpt1", "context_length": 64, "num_layers": 4, "num_heads": 4, "hidden_size": 128},
    "qwen3-nano": _QWEN3
    | {"context_length": 64, "num_layers": 4, "num_heads": 4, "hidden_size": 128, "intermediate_size": 352},
    "qwen3-tiny": _QWEN3
    | {"num_layers": 4, "num_heads": 4, "num_key_value_heads": 2, "hidden_size": 256, "intermediate_size": 704},
    "qwen3-small": _QWEN3
    | {
        "context_length": 512,
        "num_layers": 8,
        "num_heads": 8,
        "num_key_value_heads": 4,
        "hidden_size": 448,
        "head_dim": 64,
        "intermediate_size": 1216,
    },
}


@answers_old_names
def preset(
    name: str,
    *,
    vocab_size: int,
    context_length: int | None = None,
    dropout: float | None = None,
    position_encoding: str | None = None,
    embedding_std: float | None = None,
) -> GPTConfig:
    """The config called ``name``.

    Args:
        name: a row of ``PRESETS``.
        vocab_size: the tokenizer's.
        context_length: tokens seen at once, instead of the preset's.
        dropout: on embeddings, attention and residual alike, instead of the preset's.
        position_encoding: ``learned`` or ``sinusoidal``, instead of the preset's.
        embedding_std: standard deviation of the initial embeddings, instead of the preset's.

    Raises:
        InputError: no preset has that name, or the values do not go together.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    values = PRESETS[name] | {"vocab_size": vocab_size}
    if context_length is not None:
        values["context_length"] = context_length
    if dropout is not None:
        values |= {f"dropout_{place}": dropout for place in ("embedding", "attention", "residual")}
    if position_encoding is not None:
        values["position_encoding"] = position_encoding
    if embedding_std is not None:
        values["embedding_std"] = embedding_std
    return read_config(GPTConfig, values, f"the model {name}")
