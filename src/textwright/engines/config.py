"""What computes, and how exactly. Torch-free."""

from typing import Literal

from textwright.core.config import Config

DecodingPrecision = Literal["float32", "bfloat16", "int8"]
"""Of the weights that a decoder reads."""


class EngineConfig(Config):
    """What computes. It changes the speed, and how exact the numbers are; not what is asked for."""

    engine: Literal["auto", "cpu", "torch"] = "auto"
    """cpu: our kernels, for GPT-2 and Qwen3 models on a CPU. torch: any model, GPUs. auto: by model and device."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "float32"
    """Of the weights: float32 is exact, bfloat16 and int8 (cpu engine only) read 3/7 and 2/7 as many bytes a token.
    auto: the faster of the first two for this model here, which is measured."""
    batch_invariant: bool = False
    """The same text bit for bit whatever else is written at the same time: the cpu engine, which always is."""
