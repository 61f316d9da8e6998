"""What kernels are told: a model's dimensions, where its tensors are, and what to do. Numba-free."""

from typing import NamedTuple

import numpy as np


class ModelDims(NamedTuple):
    """A model's dimensions, for which its kernels are not compiled anew."""

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

MATRICES = ("qkv", "out", "gate", "up", "down")
PARTS = ("", "_scales", "_outliers")
"""What a matrix is kept as: its panels, and of their rows the scales; of float kinds, what the panels leave out."""
# The columns of the table of addresses, a row a layer; 0 where a model has no such tensor.
TENSORS = (
    *(name + part for name in MATRICES for part in PARTS),
    *("attention_norm", "attention_norm_bias", "query_norm", "key_norm", "mlp_norm", "mlp_norm_bias"),
    *("qkv_bias", "out_bias", "up_bias", "down_bias"),
)
# Their numbers, as constants for the compiler; a matrix's is that of its panels.
QKV, OUT, GATE, UP, DOWN = range(0, len(MATRICES) * len(PARTS), len(PARTS))
SCALES, OUTLIERS = 1, 2
"""So much further than the panels."""
ATTENTION_NORM, ATTENTION_NORM_BIAS, QUERY_NORM, KEY_NORM, MLP_NORM, MLP_NORM_BIAS = range(15, 21)
QKV_BIAS, OUT_BIAS, UP_BIAS, DOWN_BIAS = range(21, len(TENSORS))

STEP, HEAD = 0, 1

KERNEL_ARGS = np.dtype(
    [
        *((name, np.float64 if name == "epsilon" else np.int64) for name in ModelDims._fields),
        *(
            (name, np.int64)
            for name in (
                *("weight_table", "attention_scales"),  # int64 [layers, TENSORS], float32 [layers]
                "what",  # STEP or HEAD
                "count",  # tokens, or vectors for the head
                *("tokens", "slots", "places"),  # of each token: its id, its slot in the cache and its position
                *("keys", "values", "capacities", "num_slots"),  # of each slot: where its keys and values are, how many
                *("embedding", "positions", "cosines", "sines"),
                *("final_norm", "final_norm_bias", "head", "head_scales", "head_outliers", "vocab_size"),
                *("x", "normed", "qkv", "attended", "mid", "gate"),  # working memory, float32, [tokens, ...]
                *("hidden", "logits"),  # what comes out of STEP and goes into HEAD; what comes out of HEAD
                *("inputs", "blocks"),  # of a product, as the tiles read them; int8's scales and what its sums begin at
                *("sums", "scores", "room"),  # of each thread: sums of a panel; attention scores, as many as room
                "zeros",  # sixteen of them: the bias where there is none
                *("queries", "mixed", "query_bytes"),  # of each thread: a head's query, and its sum of values
            )
        ),
    ]
)
"""Of a job: a model's dimensions, and addresses and counts."""
