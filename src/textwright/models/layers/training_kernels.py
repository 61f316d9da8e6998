"""Which kernels of our own a model trains with."""

from collections.abc import Callable, Iterator

from torch import nn

from textwright.kernels.torch_threads import TrainingKernel, suit
from textwright.models.language_model import LanguageModel
from textwright.models.layers import kernel_attention, kernel_cross_entropy, kernel_gelu, kernel_low_rank
from textwright.models.layers.attention import Attention
from textwright.models.layers.low_rank import LoraLinear
from textwright.models.layers.mlp import ACTIVATIONS, MLP, GatedMLP

PREPARING = "preparing the kernels for training on this processor, once: some seconds"


def load_kernels(model: nn.Module, on_note: Callable[[str], None] | None = None) -> None:
    """Have the kernels there that a model now computes with.

    Args:
        model: of any kind.
        on_note: told where some are not kept, and have to be compiled.
    """
    kernels = set(_kernels_of(model))
    if on_note is not None and not all(kernel.is_kept for kernel in kernels):
        on_note(PREPARING)
    for kernel in kernels:
        kernel.prepare()


def _kernels_of(model: nn.Module) -> Iterator[TrainingKernel]:
    """Those of each layer."""
    for layer in model.modules():
        if isinstance(layer, LanguageModel) and suit(layer.head_weight):
            yield kernel_cross_entropy.KERNEL
        if isinstance(layer, Attention) and kernel_attention.suits(layer.qkv.weight, layer.head_dim):
            yield kernel_attention.KERNEL
        if isinstance(layer, MLP | GatedMLP) and layer.activation is ACTIVATIONS["gelu_tanh"] and suit(layer.up.weight):
            yield kernel_gelu.KERNEL
        if isinstance(layer, LoraLinear) and suit(layer.weight):
            yield kernel_low_rank.KERNEL
