"""Which kernels of our own a model trains with."""

from torch import nn

from textwright.kernels.torch_threads import suit
from textwright.models.language_model import LanguageModel
from textwright.models.layers import kernel_attention, kernel_cross_entropy, kernel_gelu, kernel_low_rank
from textwright.models.layers.attention import Attention
from textwright.models.layers.low_rank import LoraLinear
from textwright.models.layers.mlp import ACTIVATIONS, MLP, GatedMLP


def load_kernels(model: nn.Module) -> None:
    """Have the kernels there that a model now computes with."""
    for layer in model.modules():
        if isinstance(layer, LanguageModel) and suit(layer.head_weight):
            kernel_cross_entropy.KERNEL.prepare()
        if isinstance(layer, Attention) and kernel_attention.suits(layer.qkv.weight, layer.head_dim):
            kernel_attention.KERNEL.prepare()
        if isinstance(layer, MLP | GatedMLP) and layer.activation is ACTIVATIONS["gelu_tanh"] and suit(layer.up.weight):
            kernel_gelu.KERNEL.prepare()
        if isinstance(layer, LoraLinear) and suit(layer.weight):
            kernel_low_rank.KERNEL.prepare()
