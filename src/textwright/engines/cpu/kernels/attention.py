"""Attention over the cache: what a token leaves there, and what a head takes from there."""

from typing import Any

from textwright.engines.cpu.kernels.attention_microkernels import KEYS_PER_TILE, make_scores, make_weighted_sum
from textwright.engines.cpu.kernels.elementwise import ZERO, apply_rope, rms_norm
from textwright.engines.cpu.kernels.gemm import MIN_TAKEN, partition
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
from textwright.engines.cpu.kernels.tiles import VECTOR_BYTES
from textwright.kernels.exponential import exponential
from textwright.kernels.numba_intrinsics import (
    atomic_add,
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

PLACES_TAKEN = 16
"""Of heads of tokens, at once."""
_scores, _scores_bf16 = make_scores(FLOAT32), make_scores(BFLOAT16)
_weighted_sum4, _weighted_sum1 = make_weighted_sum(FLOAT32, 4), make_weighted_sum(FLOAT32, 1)
_weighted_sum4_bf16, _weighted_sum1_bf16 = make_weighted_sum(BFLOAT16, 4), make_weighted_sum(BFLOAT16, 1)


@jit
def bytes_per_head(dims: ModelDims) -> int:
    """Of a head's key or value in the cache: whole vectors of the processor's."""
    size = dims.head_dim * (4 if dims.kind == FLOAT32 else 2)
    return (size + VECTOR_BYTES - 1) // VECTOR_BYTES * VECTOR_BYTES


@jit
def head_rows(dims: ModelDims, args: Any, tensors: int, slot: int, place: int, layer: int, head: int) -> int:
    """Where a head's rows begin, a token a row, in a slot's keys or values: ``tensors`` says where those are.

    ``place`` is the last of the rows that are meant.
    """
    capacity = ints(args.capacities, args.num_slots)[slot]
    check_index(slot, args.num_slots)
    check_index(place, capacity)
    row = (layer * dims.num_key_value_heads + head) * capacity
    return ints(tensors, args.num_slots)[slot] + row * bytes_per_head(dims)


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
    offset = place * bytes_per_head(dims)
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
def attend_all(dims: ModelDims, args: Any, layer: int, taken: int, thread: int, num_threads: int, scale: float) -> None:
    """This thread's share of attention: of few tokens its part, of many as ``taken`` counts them.

    Text by text and head by head: the keys of a long prompt stay in the cache for its tokens, and those of one head lie
    behind those of the other.
    """
    places = args.count * dims.num_heads
    first, last = partition(places, thread, num_threads)
    if args.count >= MIN_TAKEN:
        first = atomic_add(taken, 1) * PLACES_TAKEN
        last = min(first + PLACES_TAKEN, places)
    begin, end = 0, 0  # of the tokens of a text
    while first < last:
        begin, end = text_of(args, first // dims.num_heads, begin, end)
        n, head = token_and_head(first - begin * dims.num_heads, begin, end)
        for place in range(first, last):
            following = min(place + 1, last - 1)
            begin, end = text_of(args, following // dims.num_heads, begin, end)
            next_n, next_head = token_and_head(following - begin * dims.num_heads, begin, end)
            next_keys = attended_rows(dims, args, args.keys, layer, next_n, next_head)
            attend(dims, args, layer, n, head, thread, scale, next_keys)
            n, head = next_n, next_head
        first = places
        if args.count >= MIN_TAKEN:
            first = atomic_add(taken, 1) * PLACES_TAKEN
            last = min(first + PLACES_TAKEN, places)


@jit
def text_of(args: Any, n: int, begin: int, end: int) -> tuple[int, int]:
    """Where the tokens begin and end that stand in one slot with the ``n``-th, which is not before ``begin``."""
    slots = ints(args.slots, args.count)
    while n >= end:
        begin, end = end, end + 1
        while end < len(slots) and slots[end] == slots[begin]:
            end += 1
    return begin, end


@jit
def token_and_head(place: int, begin: int, end: int) -> tuple[int, int]:
    """The token and the head of a place among those of a text."""
    return begin + place % (end - begin), place // (end - begin)


@jit
def attended_rows(dims: ModelDims, args: Any, tensors: int, layer: int, n: int, head: int) -> int:
    """Where the keys, or values, begin that a head of a token attends to."""
    slot, place = ints(args.slots, args.count)[n], ints(args.positions, args.count)[n]
    return head_rows(dims, args, tensors, slot, place, layer, head // (dims.num_heads // dims.num_key_value_heads))  # type: ignore[no-any-return]


@jit
def attend(
    dims: ModelDims, args: Any, layer: int, n: int, head: int, thread: int, scale: float, following: int
) -> None:
    """One head's attention from one token to those before it and to itself.

    ``following`` is the address of the keys that the thread reads next.
    """
    num_keys = ints(args.positions, args.count)[n] + 1
    keys = attended_rows(dims, args, args.keys, layer, n, head)
    values = attended_rows(dims, args, args.values, layer, n, head)
    query, head_out = float_at(args.query, thread * args.head_size), float_at(args.head_out, thread * args.head_size)
    heads = float_at(args.qkv, n * (dims.num_heads + 2 * dims.num_key_value_heads) * dims.head_dim)
    cast_copy(dims, row_of(heads, head, dims.head_dim), query)
    row_bytes = bytes_per_head(dims)
    lines, tile_bytes = (row_bytes + CACHE_LINE - 1) // CACHE_LINE, KEYS_PER_TILE * row_bytes
    scores_at = float_at(args.scores, thread * args.max_scores)
    for key in range(0, num_keys, KEYS_PER_TILE):
        tile = keys + key // KEYS_PER_TILE * tile_bytes
        ahead = tile + tile_bytes if key + KEYS_PER_TILE < num_keys else values
        if dims.kind == FLOAT32:
            _scores(tile, row_bytes, query, lines, float_at(scores_at, key), ahead)
        else:
            _scores_bf16(tile, row_bytes, query, lines, float_at(scores_at, key), ahead)
    scores = floats(scores_at, num_keys)
    softmax(scores, scale)
    weighted_sum(dims.kind, values, row_bytes, lines, scores_at, num_keys, head_out, following)
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
def weighted_sum(
    kind: int, values: int, row_bytes: int, lines: int, weights: int, count: int, out: int, following: int
) -> None:
    """The sum of ``count`` values of so many lines, each times its weight: float32, a vector a line of the sum.

    ``following`` is the address of what is read next.
    """
    vectors = lines if kind == FLOAT32 else 2 * lines
    sums = floats(out, LANES * vectors)
    for i in range(len(sums)):
        sums[i] = ZERO
    num_first = max(0, count - KEYS_PER_TILE)
    last, ahead = values + num_first * row_bytes, values + KEYS_PER_TILE * row_bytes
    _add_weighted(kind, values, row_bytes, weights, num_first, out, ahead, vectors)
    _add_weighted(kind, last, row_bytes, float_at(weights, num_first), count - num_first, out, following, vectors)


@jit
def _add_weighted(
    kind: int, values: int, row_bytes: int, weights: int, count: int, out: int, following: int, vectors: int
) -> None:
    i = 0
    while i + 4 <= vectors:
        if kind == FLOAT32:
            at = CACHE_LINE * i
            _weighted_sum4(values + at, row_bytes, weights, count, out + CACHE_LINE * i, following + at)
        else:
            at = CACHE_LINE // 2 * i
            _weighted_sum4_bf16(values + at, row_bytes, weights, count, out + CACHE_LINE * i, following + at)
        i += 4
    while i < vectors:
        if kind == FLOAT32:
            at = CACHE_LINE * i
            _weighted_sum1(values + at, row_bytes, weights, count, out + CACHE_LINE * i, following + at)
        else:
            at = CACHE_LINE // 2 * i
            _weighted_sum1_bf16(values + at, row_bytes, weights, count, out + CACHE_LINE * i, following + at)
        i += 1
