"""What kernels are told: a model's dimensions, where its tensors are, and what to do. Numba-free."""

from typing import NamedTuple

import numpy as np

from textwright.kernels import CACHE_LINE as CACHE_LINE
from textwright.kernels import LANES as LANES

MAX_TOKENS = 256
"""Read at once by the kernels."""

FLOAT32, BFLOAT16, INT8 = 0, 1, 2
"""Kinds of weights."""
VALUES_PER_LINE = (16, 32, 64)
"""By the kind of weights."""
COLUMNS = 8
"""Of a row of floats that lie together."""
CHUNK_STEPS, CHUNK_LINES = (8, 4, 1), (7, 3, 1)
"""By the kind of weights: steps of a panel that lie together, and the lines of memory that they take."""
BLOCK_LINES = 4
BLOCK = BLOCK_LINES * VALUES_PER_LINE[INT8]
"""int8 inputs that share a scale."""
FLOAT_INTERLEAVE = 2
INTERLEAVE = (FLOAT_INTERLEAVE, FLOAT_INTERLEAVE, 1)
"""Panels whose lines alternate, by the kind of weights."""
INPUT_SHIFT = 96
"""Inputs of floats are 2 to the power of it as large as they are; see ``exponent_codec``."""

SEQUENCE, CLOSED, ARGUMENTS, BARRIER = 0, 8, 16, CACHE_LINE
"""Places in the control block of a pool of threads, in bytes. Words that threads write to in a step stand on lines of
their own."""


class ModelDims(NamedTuple):
    """A model's dimensions, for which its kernels are not compiled anew."""

    kind: int
    """Of its matrices: FLOAT32, BFLOAT16 or INT8."""
    num_layers: int
    hidden_size: int
    num_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    context_length: int
    is_qwen3: bool
    """RMSNorm, queries and keys normalised and rotated, a gated MLP, no biases; else GPT-2."""
    activation: int
    """A place in ACTIVATIONS."""
    norm_eps: float


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
NUM_TENSORS = len(TENSORS)
# Their numbers, as constants for the compiler; a matrix's is that of its panels.
QKV, OUT, GATE, UP, DOWN = range(0, len(MATRICES) * len(PARTS), len(PARTS))
SCALES, OUTLIERS = 1, 2
"""So much further than the panels."""
ATTENTION_NORM, ATTENTION_NORM_BIAS, QUERY_NORM, KEY_NORM, MLP_NORM, MLP_NORM_BIAS = range(15, 21)
QKV_BIAS, OUT_BIAS, UP_BIAS, DOWN_BIAS = range(21, NUM_TENSORS)

FORWARD, HEAD, LOG_SUMS = 0, 1, 2
STAGES = 6
"""Of a layer: its five products, by their places in MATRICES, and attention."""
ATTENTION = 5

_ADDRESSES_AND_COUNTS = (
    "kernel",  # FORWARD, HEAD or LOG_SUMS
    *("weight_table", "attention_scales"),  # int64 [layers, TENSORS], float32 [layers]
    *("token_embedding", "position_embedding", "cosines", "sines"),
    *("final_norm", "final_norm_bias", "head", "head_scales", "head_outliers"),
    "count",  # tokens, or vectors for the head
    *("token_ids", "slots", "positions"),  # int64 [count]: of each token, its id, its slot and its place in it
    *("wanted", "num_wanted"),  # int64 [num_wanted]: the tokens whose hidden states are wanted, in order
    *("keys", "values", "capacities", "num_slots"),  # int64 [slots]: where keys and values are, and for how many tokens
    *("hidden", "logits"),  # what comes out of FORWARD and goes into HEAD; what comes out of HEAD
    *("num_logits", "logits_stride", "log_sums"),  # of LOG_SUMS: of a row, floats from row to row; float32 [count]
    *("residual", "normed", "qkv", "attention_out", "up", "gate"),  # workspace, float32 [tokens, ...]
    *("packed_inputs", "blocks"),  # of a product, as micro-kernels read them; int8's scales and first sums
    *("sums", "scores", "max_scores"),  # of each thread: a panel's sums; attention scores, and for how many keys
    "zeros",  # sixteen of them: the bias where there is none
    "taken",  # int64 [layers, STAGES]: of work that threads take as they come, how many pieces are taken
    *("query", "head_out", "head_size"),  # of each thread: a head's query and its result; floats of each
)
KERNEL_ARGS = np.dtype(
    [
        *((name, np.float64 if name == "norm_eps" else np.int64) for name in ModelDims._fields),
        *((name, np.int64) for name in _ADDRESSES_AND_COUNTS),
    ]
)
"""Of a job: a model's dimensions, addresses and counts. All that a kernel knows."""
