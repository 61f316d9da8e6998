"""Shapes of GPTs that people ask for by name, without their vocabulary. Torch-free.

gpt2*: Radford et al. 2019, table 2. gpt1: Radford et al. 2018, section 4.1, whose dropout is 0.1 everywhere.
nano: the shape of the well-known CPU preset for characters, 0.80 M parameters.
"""

from typing import Any

_GPT2 = {"family": "gpt2", "context_length": 1024}
_CPU = {"family": "gpt2", "context_length": 256}
_QWEN3 = {
    "family": "qwen3",
    "context_length": 256,
    "position_encoding": "rotary",
    "activation": "silu",
    "norm_eps": 1e-6,
}

GPT2_PRESETS: dict[str, dict[str, Any]] = {
    "gpt2": _GPT2 | {"num_layers": 12, "num_heads": 12, "hidden_size": 768},
    "gpt2-medium": _GPT2 | {"num_layers": 24, "num_heads": 16, "hidden_size": 1024},
    "gpt2-large": _GPT2 | {"num_layers": 36, "num_heads": 20, "hidden_size": 1280},
    "gpt2-xl": _GPT2 | {"num_layers": 48, "num_heads": 25, "hidden_size": 1600},
    "nano": _CPU | {"context_length": 64, "num_layers": 4, "num_heads": 4, "hidden_size": 128},
    "tiny": _CPU | {"num_layers": 4, "num_heads": 4, "hidden_size": 256},
    "small": _CPU | {"context_length": 512, "num_layers": 8, "num_heads": 8, "hidden_size": 448},
}
GPT1_PRESETS: dict[str, dict[str, Any]] = {
    "gpt1": {"family": "gpt1", "context_length": 512, "num_layers": 12, "num_heads": 12, "hidden_size": 768},
    "gpt1-nano": {"family": "gpt1", "context_length": 64, "num_layers": 4, "num_heads": 4, "hidden_size": 128},
}
QWEN3_PRESETS: dict[str, dict[str, Any]] = {
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
