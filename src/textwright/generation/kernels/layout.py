"""What kernels are told: the shape of a model, where its tensors are, and what to do. Numba-free."""

from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """A model's figures, for which its kernels are not compiled anew."""

    kind: int
    """Of its matrices: FLOAT32, BFLOAT16 or INT8."""
    num_layers: int
    width: int
    num_heads: int
    num_key_heads: int
    head_width: int
    mlp_width: int
    is_modern: bool
    """RMSNorm, queries and keys normalised and turned, a gated MLP, no biases; else GPT-2."""
    activation: int
    """A place in ACTIVATIONS."""
    epsilon: float


ACTIVATIONS = ("gelu_tanh", "gelu", "relu", "silu")

# The columns of the table of addresses, a row a layer; 0 where a model has no such tensor.
TENSORS = (
    *("attention_norm", "attention_norm_bias", "qkv", "qkv_scales", "qkv_bias", "query_norm", "key_norm"),
    *("out", "out_scales", "out_bias", "mlp_norm", "mlp_norm_bias", "gate", "gate_scales"),
    *("up", "up_scales", "up_bias", "down", "down_scales", "down_bias"),
)
# Their numbers, as constants for the compiler.
ATTENTION_NORM, ATTENTION_NORM_BIAS, QKV, QKV_SCALES, QKV_BIAS, QUERY_NORM, KEY_NORM = range(7)
OUT, OUT_SCALES, OUT_BIAS, MLP_NORM, MLP_NORM_BIAS, GATE, GATE_SCALES = range(7, 14)
UP, UP_SCALES, UP_BIAS, DOWN, DOWN_SCALES, DOWN_BIAS = range(14, len(TENSORS))

STEP, HEAD = 0, 1

JOB = np.dtype(
    [
        (name, np.int64)
        for name in (
            "what",  # STEP or HEAD
            "count",  # tokens, or vectors for the head
            *("tokens", "rows", "places"),  # of each token: its id, its row in the cache and its position
            *("keys", "values", "layer_stride", "row_stride", "head_stride"),  # the cache; strides in bytes
            *("embedding", "positions", "cosines", "sines"),
            *("final_norm", "final_norm_bias", "head", "head_scales", "vocab_size"),
            *("x", "normed", "qkv", "attended", "mid", "gate"),  # working memory, float32, [tokens, ...]
            *("hidden", "logits"),  # what comes out of STEP and goes into HEAD; what comes out of HEAD
            *("inputs", "blocks"),  # of a product, as the tiles read them; int8's scales and what its sums begin at
            *("sums", "scores", "room"),  # of each thread: sums of a panel; attention scores, as many as room
            "zeros",  # sixteen of them: the bias where there is none
            *("queries", "mixed", "query_bytes"),  # of each thread: a head's query, and its sum of values
        )
    ]
)
