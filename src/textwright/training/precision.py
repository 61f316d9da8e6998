"""Whether matrix products run in bfloat16, and the context in which they do."""

import contextlib

import torch

from textwright.core.device import Precision, has_fast_bfloat16

MIN_WIDTH = 256
"""Below this width casting weights and activations costs more than bfloat16 products save (docs/experiments.md)."""


def choose_training_precision(device: torch.device, name: str, width: int) -> Precision:
    """``name``, or for ``auto`` bfloat16 where the hardware has it and the model is wide enough to gain.

    A rule rather than a measurement: the same seed on the same machine gives the same weights.
    """
    if name == "float32":
        return "float32"
    if name == "bfloat16":
        return "bfloat16"
    assert name == "auto", name
    return "bfloat16" if width >= MIN_WIDTH and has_fast_bfloat16(device) else "float32"


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The context for a forward pass: products in ``precision``; weights stay float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
