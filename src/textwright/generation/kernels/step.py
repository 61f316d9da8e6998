"""A step of a GPT on a CPU: every thread runs all of it, and does its share of each stage.

::

    embed, norm | q k v | cache | attend | out | norm | up, bend | down, norm | q k v | ... | final norm
                ^ barrier       ^        ^     ^      ^          ^            ^

Matrix products are shared by rows of the matrix, attention by heads, the rest by tokens. A token's numbers depend
neither on what other tokens are computed with it nor on the number of threads.
"""

import math
from typing import Any

import numpy as np

from textwright.generation.kernels.dots import BFLOAT16, BLOCK, FLOAT32, INT8, make_dots, make_mix
from textwright.generation.kernels.layout import ACTIVATIONS, TENSORS, Shape
from textwright.generation.kernels.native import (
    Floats,
    atomic_add,
    atomic_load,
    atomic_store,
    float_of_bits,
    floats,
    give_way,
    ints,
    jit,
    jit_without_nan,
    pause,
    small_ints,
)

_TILES = ((4, 1), (1, 1), (4, 4), (1, 4))
_f41, _f11, _f44, _f14 = (make_dots(FLOAT32, *tile) for tile in _TILES)
_b41, _b11, _b44, _b14 = (make_dots(BFLOAT16, *tile) for tile in _TILES)
_i41, _i11, _i44, _i14 = (make_dots(INT8, *tile) for tile in _TILES)

_mix4, _mix1 = make_mix(4), make_mix(1)

# The columns of the table of addresses, as constants for the compiler.
ATTENTION_NORM, ATTENTION_NORM_BIAS, QKV, QKV_SCALES, QKV_BIAS, QUERY_NORM, KEY_NORM = range(7)
OUT, OUT_SCALES, OUT_BIAS, MLP_NORM, MLP_NORM_BIAS, GATE, GATE_SCALES = range(7, 14)
UP, UP_SCALES, UP_BIAS, DOWN, DOWN_SCALES, DOWN_BIAS = range(14, len(TENSORS))
GELU_TANH, GELU, RELU, SILU = range(len(ACTIVATIONS))

GENERATION = 64
"""Bytes from the start of the barrier to its count of openings: a line of the cache away."""
MANY, VERY_MANY = 8, 32
"""Inputs from which a product is bound by its arithmetic; and from which one of int8 is."""
PATIENCE = 4000
"""Looks at the barrier before a thread lets others have its core."""
ROOT_HALF = np.float32(math.sqrt(0.5))
ONE, ZERO = np.float32(1), np.float32(0)


@jit
def run_step(m: Shape, table: Any, scales: Floats, j: Any, barrier: int, part: int, parts: int) -> None:
    """Read ``j.count`` tokens: their keys and values into the cache, their last hidden states to ``j.hidden``.

    Args:
        m: the model.
        table: addresses of its tensors, [layers, TENSORS].
        scales: of each layer's attention scores.
        j: the job.
        barrier: the address of two lines of memory that all threads share.
        part: which of the threads this is.
        parts: how many there are.
    """
    for n in range(part, j.count, parts):
        embed(m, j, n)
    attended_width, key_width = m.num_heads * m.head_width, m.num_key_heads * m.head_width
    for layer in range(m.num_layers):
        at = table[layer]
        for n in range(part, j.count, parts):
            normalise(m, j.x, at[ATTENTION_NORM], at[ATTENTION_NORM_BIAS], j.normed, n)
            round_inputs(m, j, j.normed, m.width, n)
        wait_for_all(barrier, parts)
        multiply(
            m, j, at[QKV], at[QKV_SCALES], at[QKV_BIAS], j.normed, m.width, j.qkv, attended_width + 2 * key_width,
            False, part, parts,
        )  # fmt: skip
        wait_for_all(barrier, parts)
        for n in range(part, j.count, parts):
            remember(m, j, at, layer, n)
        wait_for_all(barrier, parts)
        for place in range(part, j.count * m.num_heads, parts):
            attend(m, j, layer, place // m.num_heads, place % m.num_heads, part, scales[layer])
        wait_for_all(barrier, parts)
        if m.kind == INT8:
            for n in range(part, j.count, parts):
                round_inputs(m, j, j.attended, attended_width, n)
            wait_for_all(barrier, parts)
        multiply(
            m, j, at[OUT], at[OUT_SCALES], at[OUT_BIAS], j.attended, attended_width, j.x, m.width, True, part, parts
        )  # fmt: skip
        wait_for_all(barrier, parts)
        for n in range(part, j.count, parts):
            normalise(m, j.x, at[MLP_NORM], at[MLP_NORM_BIAS], j.normed, n)
            round_inputs(m, j, j.normed, m.width, n)
        wait_for_all(barrier, parts)
        if m.is_modern:
            multiply(m, j, at[GATE], at[GATE_SCALES], 0, j.normed, m.width, j.gate, m.mlp_width, False, part, parts)
        multiply(
            m, j, at[UP], at[UP_SCALES], at[UP_BIAS], j.normed, m.width, j.mid, m.mlp_width, False, part, parts
        )  # fmt: skip
        bend(m, j, part, parts)
        wait_for_all(barrier, parts)
        if m.kind == INT8:
            for n in range(part, j.count, parts):
                round_inputs(m, j, j.mid, m.mlp_width, n)
            wait_for_all(barrier, parts)
        multiply(
            m, j, at[DOWN], at[DOWN_SCALES], at[DOWN_BIAS], j.mid, m.mlp_width, j.x, m.width, True, part, parts
        )  # fmt: skip
        wait_for_all(barrier, parts)
    for n in range(part, j.count, parts):
        normalise(m, j.x, j.final_norm, j.final_norm_bias, j.hidden, n)
    wait_for_all(barrier, parts)


@jit
def run_head(m: Shape, j: Any, barrier: int, part: int, parts: int) -> None:
    """Logits of ``j.count`` hidden states."""
    if m.kind == INT8:
        for n in range(part, j.count, parts):
            round_inputs(m, j, j.hidden, m.width, n)
        wait_for_all(barrier, parts)
    multiply(m, j, j.head, j.head_scales, 0, j.hidden, m.width, j.logits, j.vocab_size, False, part, parts)
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


@jit
def embed(m: Shape, j: Any, n: int) -> None:
    """A token's vector, with its position's where positions are vectors."""
    token, place = ints(j.tokens, j.count)[n], ints(j.places, j.count)[n]
    x, embedding = floats(j.x + 4 * n * m.width, m.width), floats(j.embedding + 4 * token * m.width, m.width)
    if j.positions == 0:
        for i in range(m.width):
            x[i] = embedding[i]
    else:
        position = floats(j.positions + 4 * place * m.width, m.width)
        for i in range(m.width):
            x[i] = embedding[i] + position[i]


@jit
def normalise(m: Shape, source: int, gain_at: int, bias_at: int, target: int, n: int) -> None:
    """LayerNorm, or RMSNorm, of one token."""
    x, out = floats(source + 4 * n * m.width, m.width), floats(target + 4 * n * m.width, m.width)
    if m.is_modern:
        scale_to_one(x, floats(gain_at, m.width), out, m.epsilon)
        return
    gain, bias = floats(gain_at, m.width), floats(bias_at, m.width)
    mean = ZERO
    for i in range(m.width):
        mean += x[i]
    mean /= np.float32(m.width)
    square = ZERO
    for i in range(m.width):
        square += (x[i] - mean) * (x[i] - mean)
    inverse = ONE / np.sqrt(square / np.float32(m.width) + np.float32(m.epsilon))
    for i in range(m.width):
        out[i] = (x[i] - mean) * inverse * gain[i] + bias[i]


@jit
def scale_to_one(x: Floats, gain: Floats, out: Floats, epsilon: float) -> None:
    """RMSNorm; ``out`` may be ``x``."""
    square = ZERO
    for i in range(len(x)):
        square += x[i] * x[i]
    inverse = ONE / np.sqrt(square / np.float32(len(x)) + np.float32(epsilon))
    for i in range(len(x)):
        out[i] = x[i] * inverse * gain[i]


@jit
def remember(m: Shape, j: Any, at: Any, layer: int, n: int) -> None:
    """A token's key and value into the cache; for modern models queries and keys are normalised and turned first."""
    row, place = ints(j.rows, j.count)[n], ints(j.places, j.count)[n]
    width = m.head_width
    all_heads = m.num_heads + 2 * m.num_key_heads
    first = j.qkv + 4 * n * all_heads * width
    if m.is_modern:
        cosines, sines = (
            floats(j.cosines + 2 * place * width, width // 2),
            floats(j.sines + 2 * place * width, width // 2),
        )
        for head in range(m.num_heads + m.num_key_heads):
            vector = floats(first + 4 * head * width, width)
            gain = floats(at[QUERY_NORM] if head < m.num_heads else at[KEY_NORM], width)
            scale_to_one(vector, gain, vector, m.epsilon)
            turn(vector, cosines, sines)
    for head in range(m.num_key_heads):
        target = 4 * (layer * j.layer_stride + row * j.row_stride + head * j.head_stride + place * width)
        key, value = floats(j.keys + target, width), floats(j.values + target, width)
        new_key = floats(first + 4 * (m.num_heads + head) * width, width)
        new_value = floats(first + 4 * (m.num_heads + m.num_key_heads + head) * width, width)
        for i in range(width):
            key[i] = new_key[i]
            value[i] = new_value[i]


@jit
def turn(vector: Floats, cosines: Floats, sines: Floats) -> None:
    """Rotary positions, in the half-and-half layout."""
    half = len(cosines)
    for i in range(half):
        first, second = vector[i], vector[half + i]
        vector[i] = first * cosines[i] - second * sines[i]
        vector[half + i] = second * cosines[i] + first * sines[i]


@jit
def attend(m: Shape, j: Any, layer: int, n: int, head: int, part: int, scale: float) -> None:
    """One head's look from one token at those before it and at itself."""
    row, num_keys = ints(j.rows, j.count)[n], ints(j.places, j.count)[n] + 1
    width = m.head_width
    key_head = head // (m.num_heads // m.num_key_heads)
    base = 4 * (layer * j.layer_stride + row * j.row_stride + key_head * j.head_stride)
    query = j.qkv + 4 * (n * (m.num_heads + 2 * m.num_key_heads) + head) * width
    scores_at = j.scores + 4 * part * j.room
    scores = floats(scores_at, num_keys)
    for t in range(num_keys):
        dots(FLOAT32, False, False, j.keys + base + 4 * t * width, 0, query, 0, 0, 0, width, scores_at + 4 * t)
    top = largest(scores)
    total = ZERO
    for t in range(num_keys):
        weight = exponential((scores[t] - top) * scale)
        scores[t] = weight
        total += weight
    for t in range(num_keys):
        scores[t] /= total
    mix(j.values + base, scores_at, num_keys, width, j.attended + 4 * (n * m.num_heads + head) * width)


@jit
def mix(values_at: int, weights_at: int, count: int, width: int, out_at: int) -> None:
    """The sum of ``count`` rows of values, each times its weight."""
    i = 0
    while i + 64 <= width:
        _mix4(values_at + 4 * i, 4 * width, weights_at, count, out_at + 4 * i)
        i += 64
    while i + 16 <= width:
        _mix1(values_at + 4 * i, 4 * width, weights_at, count, out_at + 4 * i)
        i += 16
    out, values, weights = floats(out_at, width), floats(values_at, count * width), floats(weights_at, count)
    while i < width:
        total = ZERO
        for t in range(count):
            total += weights[t] * values[t * width + i]
        out[i] = total
        i += 1


@jit_without_nan
def largest(values: Floats) -> float:
    """The greatest of some numbers; of NaN it knows nothing, and so it looks at sixteen at once."""
    top = values[0]
    for i in range(len(values)):
        top = max(top, values[i])
    return top


@jit_without_nan
def largest_size(values: Floats) -> float:
    """The greatest of their sizes."""
    top = ZERO
    for i in range(len(values)):
        top = max(top, abs(values[i]))
    return top  # type: ignore[return-value]


@jit
def bend(m: Shape, j: Any, part: int, parts: int) -> None:
    """The activation, on this thread's share of ``mid``, times ``mid`` where there is a gate."""
    first, last = share(m.mlp_width, part, parts)
    for n in range(j.count):
        mid = floats(j.mid + 4 * n * m.mlp_width, m.mlp_width)
        inner = floats(j.gate + 4 * n * m.mlp_width, m.mlp_width) if m.is_modern else mid
        if m.activation == GELU_TANH:
            for i in range(first, last):
                v = inner[i]
                z = np.float32(1.5957691216057308) * (v + np.float32(0.044715) * v * v * v)
                bent = v / (ONE + exponential(-z))  # (1 + tanh(z / 2)) / 2 is 1 / (1 + exp(-z))
                mid[i] = bent * mid[i] if m.is_modern else bent
        elif m.activation == SILU:
            for i in range(first, last):
                bent = inner[i] / (ONE + exponential(-inner[i]))
                mid[i] = bent * mid[i] if m.is_modern else bent
        elif m.activation == RELU:
            for i in range(first, last):
                bent = max(inner[i], ZERO)
                mid[i] = bent * mid[i] if m.is_modern else bent
        else:
            for i in range(first, last):
                bent = np.float32(0.5) * inner[i] * (ONE + np.float32(math.erf(inner[i] * ROOT_HALF)))
                mid[i] = bent * mid[i] if m.is_modern else bent


@jit
def exponential(x: float) -> float:
    """e to the x, to the last bit or two; a compiler makes sixteen at once of it.

    Source: the polynomial and the split of ln 2 are those of Moshier's Cephes library, ``expf``.
    """
    x = max(min(x, np.float32(88.0)), np.float32(-87.0))
    whole = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
    r = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + ONE
    return p * float_of_bits(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))


@jit
def round_inputs(m: Shape, j: Any, source: int, width: int, n: int) -> None:
    """One token's inputs as int8, each block of 64 with its scale; nothing unless the weights are int8."""
    if m.kind != INT8:
        return
    num_blocks = (width + BLOCK - 1) // BLOCK
    x = floats(source + 4 * n * width, width)
    rounded = small_ints(j.bytes + n * num_blocks * BLOCK, num_blocks * BLOCK)
    scales = floats(j.byte_scales + 4 * n * num_blocks, num_blocks)
    offset = ZERO
    for block in range(num_blocks):
        first, last = block * BLOCK, min(width, (block + 1) * BLOCK)
        top = largest_size(x[first:last])
        inverse = np.float32(127) / top if top > ZERO else ZERO
        total = np.int32(0)
        for i in range(first, last):
            value = np.int32(np.rint(x[i] * inverse))
            rounded[i] = np.int8(value)
            total += value
        for i in range(last, (block + 1) * BLOCK):
            rounded[i] = np.int8(0)
        scales[block] = top / np.float32(127)
        offset += scales[block] * np.float32(total)
    floats(j.byte_offsets, j.count)[n] = offset * np.float32(128)


@jit
def multiply(
    m: Shape,
    j: Any,
    weights: int,
    row_scales: int,
    bias: int,
    inputs: int,
    width: int,
    out: int,
    num_rows: int,
    adds: bool,
    part: int,
    parts: int,
) -> None:
    """This thread's rows of ``weights @ inputs + bias`` for every token, stored or added to [tokens, num_rows]."""
    first, last = share(num_rows, part, parts)
    if m.kind == INT8:
        steps = (width + BLOCK - 1) // BLOCK
        row_bytes, vectors, vector_bytes, scale_bytes, length = (
            steps * BLOCK,
            j.bytes,
            steps * BLOCK,
            4 * steps,
            steps * BLOCK,
        )
    elif m.kind == BFLOAT16:
        row_bytes, vectors, vector_bytes, scale_bytes, length = 2 * width, inputs, 4 * width, 0, width
    else:
        row_bytes, vectors, vector_bytes, scale_bytes, length = 4 * width, inputs, 4 * width, 0, width
    sums_at = j.sums + 64 * part
    sums, y, scales, biases = (
        floats(sums_at, 16),
        floats(out, j.count * num_rows),
        floats(row_scales, num_rows),
        floats(bias, num_rows),
    )
    offsets = floats(j.byte_offsets, j.count)
    # Four rows at a time save reads of the inputs; but rows one after the other are a stream that the processor
    # foresees, and for few inputs, or narrow weights, memory is what is waited for.
    side_by_side = j.count >= (VERY_MANY if m.kind == INT8 else MANY)
    row = first
    while row < last:
        four_rows = side_by_side and row + 4 <= last
        num_here = 4 if four_rows else 1
        n = 0
        while n < j.count:
            four = n + 4 <= j.count
            num_inputs = 4 if four else 1
            dots(
                m.kind, four_rows, four, weights + row * row_bytes, row_bytes, vectors + n * vector_bytes, vector_bytes,
                j.byte_scales + n * scale_bytes, scale_bytes, length, sums_at,
            )  # fmt: skip
            for r in range(num_here):
                for i in range(num_inputs):
                    value = sums[r * num_inputs + i]
                    if m.kind == INT8:
                        value = (value - offsets[n + i]) * scales[row + r]
                    if bias != 0:
                        value += biases[row + r]
                    place = (n + i) * num_rows + row + r
                    y[place] = y[place] + value if adds else value
            n += num_inputs
        row += num_here


@jit
def share(total: int, part: int, parts: int) -> tuple[int, int]:
    """Where a thread's rows begin and end: stretches of a whole line of the cache."""
    chunks = (total + 15) // 16
    return min(total, chunks * part // parts * 16), min(total, chunks * (part + 1) // parts * 16)


@jit
def dots(
    kind: int,
    four_rows: bool,
    four: bool,
    weights: int,
    row_bytes: int,
    inputs: int,
    input_bytes: int,
    scales: int,
    scale_bytes: int,
    width: int,
    sums: int,
) -> None:
    """A tile of four rows or one by four inputs or one; see ``make_dots``."""
    if kind == INT8:
        if four_rows and four:
            _i44(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
        elif four_rows:
            _i41(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
        elif four:
            _i14(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
        else:
            _i11(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
    elif kind == BFLOAT16:
        if four_rows and four:
            _b44(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
        elif four_rows:
            _b41(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
        elif four:
            _b14(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
        else:
            _b11(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
    elif four_rows and four:
        _f44(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
    elif four_rows:
        _f41(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
    elif four:
        _f14(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
    else:
        _f11(weights, row_bytes, inputs, input_bytes, scales, scale_bytes, width, sums)
