"""A step of a GPT on a CPU: every thread runs all of it, and does its share of each stage.

::

    embed, norm | q k v | cache | attend | round | out | norm | up, bend | round | down, norm | q k v | ...
                ^ barrier       ^        ^       ^     ^      ^          ^       ^

Matrix products are shared by rows of the matrix, attention by heads, the rest by tokens. A token's numbers depend
neither on what other tokens are computed with it nor on the number of threads.
"""

from typing import Any

from textwright.engines.cpu.kernels.attention import attend, remember
from textwright.engines.cpu.kernels.elementwise import bend, embed, normalise
from textwright.engines.cpu.kernels.gemm import lay_out, multiply, rows_of, share
from textwright.engines.cpu.kernels.layout import (
    ATTENTION_NORM,
    ATTENTION_NORM_BIAS,
    DOWN,
    DOWN_BIAS,
    GATE,
    MLP_NORM,
    MLP_NORM_BIAS,
    OUT,
    OUT_BIAS,
    OUTLIERS,
    QKV,
    QKV_BIAS,
    SCALES,
    TENSORS,
    UP,
    UP_BIAS,
    ModelDims,
)
from textwright.engines.cpu.kernels.numba_intrinsics import (
    atomic_add,
    atomic_load,
    atomic_store,
    floats,
    give_way,
    ints,
    jit,
    pause,
)

NUM_TENSORS = len(TENSORS)
GENERATION = 64
"""Bytes from the start of the barrier to its count of openings: a line of the cache away."""
PATIENCE = 4000
"""Looks at the barrier before a thread lets others have its core."""


@jit
def run_step(j: Any, barrier: int, part: int, parts: int) -> None:
    """Read ``j.count`` tokens: their keys and values into the cache, their last hidden states to ``j.hidden``.

    Args:
        j: the job.
        barrier: the address of two lines of memory that all threads share.
        part: which of the threads this is.
        parts: how many there are.
    """
    m = dims_of(j)
    scales = floats(j.attention_scales, m.num_layers)
    for n in range(part, j.count, parts):
        embed(m, j, n)
    attended_width, key_width = m.num_heads * m.head_width, m.num_key_heads * m.head_width
    for layer in range(m.num_layers):
        at = ints(j.weight_table + 8 * NUM_TENSORS * layer, NUM_TENSORS)
        for n in range(part, j.count, parts):
            normalise(m, j.x, at[ATTENTION_NORM], at[ATTENTION_NORM_BIAS], j.normed, n)
            lay_out(m, j, j.normed, m.width, n)
        wait_for_all(barrier, parts)
        qkv_width = attended_width + 2 * key_width
        multiply(m, j, matrix(at, QKV), at[QKV_BIAS], m.width, j.qkv, qkv_width, False, part, parts)
        wait_for_all(barrier, parts)
        for n in range(part, j.count, parts):
            remember(m, j, at, layer, n)
        wait_for_all(barrier, parts)
        first, last = share(j.count * m.num_heads, part, parts)
        for place in range(first, last):
            # Head by head, so that the keys of a long prompt stay in the cache for its tokens.
            attend(m, j, layer, place % j.count, place // j.count, part, scales[layer])
        wait_for_all(barrier, parts)
        for n in range(part, j.count, parts):
            lay_out(m, j, j.attended, attended_width, n)
        wait_for_all(barrier, parts)
        multiply(m, j, matrix(at, OUT), at[OUT_BIAS], attended_width, j.x, m.width, True, part, parts)
        wait_for_all(barrier, parts)
        for n in range(part, j.count, parts):
            normalise(m, j.x, at[MLP_NORM], at[MLP_NORM_BIAS], j.normed, n)
            lay_out(m, j, j.normed, m.width, n)
        wait_for_all(barrier, parts)
        if m.is_modern:
            multiply(m, j, matrix(at, GATE), 0, m.width, j.gate, m.mlp_width, False, part, parts)
        multiply(m, j, matrix(at, UP), at[UP_BIAS], m.width, j.mid, m.mlp_width, False, part, parts)
        first, last = rows_of(m.kind, m.mlp_width, part, parts)
        bend(m, j, first, min(m.mlp_width, last))  # what this thread multiplied: no need to wait
        wait_for_all(barrier, parts)
        for n in range(part, j.count, parts):
            lay_out(m, j, j.mid, m.mlp_width, n)
        wait_for_all(barrier, parts)
        multiply(m, j, matrix(at, DOWN), at[DOWN_BIAS], m.mlp_width, j.x, m.width, True, part, parts)
        wait_for_all(barrier, parts)
    for n in range(part, j.count, parts):
        normalise(m, j.x, j.final_norm, j.final_norm_bias, j.hidden, n)
    wait_for_all(barrier, parts)


@jit
def dims_of(j: Any) -> ModelDims:
    """The dimensions of a job's model."""
    return ModelDims(
        j.kind,
        j.num_layers,
        j.width,
        j.num_heads,
        j.num_key_heads,
        j.head_width,
        j.mlp_width,
        j.is_modern != 0,
        j.activation,
        j.epsilon,
    )


@jit
def matrix(at: Any, which: int) -> tuple[int, int, int]:
    """Where a matrix of a layer is: panels, scales and outliers."""
    return at[which], at[which + SCALES], at[which + OUTLIERS]


@jit
def run_head(j: Any, barrier: int, part: int, parts: int) -> None:
    """Logits of ``j.count`` hidden states."""
    m = dims_of(j)
    for n in range(part, j.count, parts):
        lay_out(m, j, j.hidden, m.width, n)
    wait_for_all(barrier, parts)
    multiply(m, j, (j.head, j.head_scales, j.head_outliers), 0, m.width, j.logits, j.vocab_size, False, part, parts)
    wait_for_all(barrier, parts)


@jit
def wait_for_all(barrier: int, parts: int) -> None:
    """Go on when every thread has come here."""
    if parts == 1:
        return
    generation = atomic_load(barrier + GENERATION)
    if atomic_add(barrier, 1) == parts - 1:
        atomic_store(barrier, 0)
        atomic_store(barrier + GENERATION, generation + 1)
        return
    looks = 0
    while atomic_load(barrier + GENERATION) == generation:
        pause()
        looks += 1
        if looks > PATIENCE:
            give_way()
