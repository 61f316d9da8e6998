"""Attention over the cache: what a token leaves there, and what a head takes from there."""

from typing import Any

from textwright.engines.cpu.kernels.attention_microkernels import KEYS_PER_TILE, make_scores, make_weighted_sum
from textwright.engines.cpu.kernels.elementwise import ZERO, apply_rope, rms_norm
from textwright.engines.cpu.kernels.gemm_inputs import rounded_to_bfloat16
from textwright.engines.cpu.kernels.layout import (
    BFLOAT16,
    CACHE_LINE,
    FLOAT32,
    KEY_NORM,
    LANES,
    QUERY_NORM,
    ModelDims,
)
from textwright.kernels.exponential import exponential
from textwright.kernels.numba_intrinsics import (
    check_index,
    float_at,
    floats,
    ints,
    jit,
    matrix_of,
    row_of,
    shorts,
)
from textwright.kernels.reductions import max_value

_scores, _scores_bf16 = make_scores(FLOAT32), make_scores(BFLOAT16)
_weighted_sum4, _weighted_sum1 = make_weighted_sum(FLOAT32, 4), make_weighted_sum(FLOAT32, 1)
_weighted_sum4_bf16, _weighted_sum1_bf16 = make_weighted_sum(BFLOAT16, 4), make_weighted_sum(BFLOAT16, 1)


@jit
def lines_per_head(dims: ModelDims) -> int:
    """Lines of a head's key or value in the cache."""
    per_line = LANES if dims.kind == FLOAT32 else 2 * LANES
    return (dims.head_dim + per_line - 1) // per_line


@jit
def head_rows(dims: ModelDims, args: Any, tensors: int, slot: int, place: int, layer: int, head: int) -> int:
    """Where a head's rows begin, a token a row, in a slot's keys or values: ``tensors`` says where those are.

    ``place`` is the last of the rows that are meant.
    """
    capacity = ints(args.capacities, args.num_slots)[slot]
    check_index(slot, args.num_slots)
    check_index(place, capacity)
    row = (layer * dims.num_key_value_heads + head) * capacity
    return ints(tensors, args.num_slots)[slot] + row * CACHE_LINE * lines_per_head(dims)


@jit
def store_kv(dims: ModelDims, args: Any, layer_weights: Any, layer: int, n: int) -> None:
    """A token's key and value into the cache; for Qwen3 queries and keys are normalised and rotated first."""
    slot, place = ints(args.slots, args.count)[n], ints(args.positions, args.count)[n]
    head_dim, num_keys = dims.head_dim, dims.num_key_value_heads
    # [queries, keys, values], a head a row
    heads = float_at(args.qkv, n * (dims.num_heads + 2 * num_keys) * head_dim)
    if dims.is_qwen3:
        cosines = matrix_of(args.cosines, dims.context_length, head_dim // 2)[place]
        sines = matrix_of(args.sines, dims.context_length, head_dim // 2)[place]
        for head in range(dims.num_heads + num_keys):
            vector = row_of(heads, head, head_dim)
            gain = floats(layer_weights[QUERY_NORM] if head < dims.num_heads else layer_weights[KEY_NORM], head_dim)
            rms_norm(vector, gain, vector, dims.norm_eps)
            apply_rope(vector, cosines, sines)
    offset = place * CACHE_LINE * lines_per_head(dims)
    for head in range(num_keys):
        key = row_of(heads, dims.num_heads + head, head_dim)
        value = row_of(heads, dims.num_heads + num_keys + head, head_dim)
        cast_copy(dims, key, head_rows(dims, args, args.keys, slot, place, layer, head) + offset)
        cast_copy(dims, value, head_rows(dims, args, args.values, slot, place, layer, head) + offset)


@jit
def cast_copy(dims: ModelDims, x: Any, target: int) -> None:
    """A head's numbers, in the kind of the cache."""
    if dims.kind == FLOAT32:
        out = floats(target, len(x))
        for i in range(len(x)):
            out[i] = x[i]
    else:
        halves = shorts(target, len(x))
        for i in range(len(x)):
            halves[i] = rounded_to_bfloat16(x[i])


@jit
def attend(dims: ModelDims, args: Any, layer: int, n: int, head: int, thread: int, scale: float) -> None:
    """One head's attention from one token to those before it and to itself."""
    slot, num_keys = ints(args.slots, args.count)[n], ints(args.positions, args.count)[n] + 1
    key_head = head // (dims.num_heads // dims.num_key_value_heads)
    keys = head_rows(dims, args, args.keys, slot, num_keys - 1, layer, key_head)
    values = head_rows(dims, args, args.values, slot, num_keys - 1, layer, key_head)
    query, head_out = float_at(args.query, thread * args.head_size), float_at(args.head_out, thread * args.head_size)
    heads = float_at(args.qkv, n * (dims.num_heads + 2 * dims.num_key_value_heads) * dims.head_dim)
    cast_copy(dims, row_of(heads, head, dims.head_dim), query)
    lines = lines_per_head(dims)
    scores_at = float_at(args.scores, thread * args.max_scores)
    for key in range(0, num_keys, KEYS_PER_TILE):
        if dims.kind == FLOAT32:
            _scores(keys + key * CACHE_LINE * lines, query, lines, float_at(scores_at, key))
        else:
            _scores_bf16(keys + key * CACHE_LINE * lines, query, lines, float_at(scores_at, key))
    scores = floats(scores_at, num_keys)
    softmax(scores, scale)
    weighted_sum(dims.kind, values, lines, scores_at, num_keys, head_out)
    found, out = floats(head_out, dims.head_dim), row_of(args.attention_out, n * dims.num_heads + head, dims.head_dim)
    for i in range(dims.head_dim):
        out[i] = found[i]


@jit
def softmax(scores: Any, scale: float) -> None:
    """Scores, each times ``scale``, to probabilities."""
    top = max_value(scores)
    total = ZERO
    for t in range(len(scores)):
        weight = exponential((scores[t] - top) * scale)
        scores[t] = weight
        total += weight
    for t in range(len(scores)):
        scores[t] /= total


@jit
def weighted_sum(kind: int, values: int, lines: int, weights: int, count: int, out: int) -> None:
    """The sum of ``count`` values of so many lines, each times its weight: float32, a vector a line of the sum."""
    row_bytes = CACHE_LINE * lines
    vectors = lines if kind == FLOAT32 else 2 * lines
    i = 0
    while i + 4 <= vectors:
        if kind == FLOAT32:
            _weighted_sum4(values + CACHE_LINE * i, row_bytes, weights, count, out + CACHE_LINE * i)
        else:
            _weighted_sum4_bf16(values + CACHE_LINE // 2 * i, row_bytes, weights, count, out + CACHE_LINE * i)
        i += 4
    while i < vectors:
        if kind == FLOAT32:
            _weighted_sum1(values + CACHE_LINE * i, row_bytes, weights, count, out + CACHE_LINE * i)
        else:
            _weighted_sum1_bf16(values + CACHE_LINE // 2 * i, row_bytes, weights, count, out + CACHE_LINE * i)
        i += 1
