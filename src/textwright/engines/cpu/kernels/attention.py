"""Attention over the cache: what a token leaves there, and a head's look at what is there."""

from typing import Any

from textwright.engines.cpu.kernels.attention_microkernels import KEYS_AT_ONCE, make_mix, make_scores
from textwright.engines.cpu.kernels.elementwise import ZERO, exponential, largest, scale_to_one, turn
from textwright.engines.cpu.kernels.gemm import rounded_to_bfloat16
from textwright.engines.cpu.kernels.gemm_microkernels import BFLOAT16, FLOAT32
from textwright.engines.cpu.kernels.layout import KEY_NORM, QUERY_NORM, ModelDims
from textwright.engines.cpu.kernels.llvm_ir import LANES, LINE
from textwright.engines.cpu.kernels.numba_intrinsics import floats, ints, jit, shorts

_scores, _narrow_scores = make_scores(FLOAT32), make_scores(BFLOAT16)
_mix4, _mix1 = make_mix(FLOAT32, 4), make_mix(FLOAT32, 1)
_narrow_mix4, _narrow_mix1 = make_mix(BFLOAT16, 4), make_mix(BFLOAT16, 1)


@jit
def lines_of_key(m: ModelDims) -> int:
    """Lines of a key or value in the cache."""
    per_line = LANES if m.kind == FLOAT32 else 2 * LANES
    return (m.head_width + per_line - 1) // per_line


@jit
def remember(m: ModelDims, j: Any, at: Any, layer: int, n: int) -> None:
    """A token's key and value into the cache; for modern models queries and keys are normalised and turned first."""
    slot, place = ints(j.slots, j.count)[n], ints(j.places, j.count)[n]
    keys_at, values_at = ints(j.keys, j.num_slots)[slot], ints(j.values, j.num_slots)[slot]
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
        target = start_of_head(m, j, slot, layer, head) + place * LINE * lines_of_key(m)
        keep(m, first + 4 * (m.num_heads + head) * width, keys_at + target)
        keep(m, first + 4 * (m.num_heads + m.num_key_heads + head) * width, values_at + target)


@jit
def start_of_head(m: ModelDims, j: Any, slot: int, layer: int, head: int) -> int:
    """Bytes from where a slot's keys or values begin to those of a head in a layer."""
    return (layer * m.num_key_heads + head) * ints(j.capacities, j.num_slots)[slot] * LINE * lines_of_key(m)


@jit
def keep(m: ModelDims, source: int, target: int) -> None:
    """A head's numbers, in the kind of the cache."""
    width = m.head_width
    x = floats(source, width)
    if m.kind == FLOAT32:
        wide = floats(target, width)
        for i in range(width):
            wide[i] = x[i]
    else:
        halves = shorts(target, width)
        for i in range(width):
            halves[i] = rounded_to_bfloat16(x[i])


@jit
def attend(m: ModelDims, j: Any, layer: int, n: int, head: int, part: int, scale: float) -> None:
    """One head's look from one token at those before it and at itself."""
    slot, num_keys = ints(j.slots, j.count)[n], ints(j.places, j.count)[n] + 1
    width, lines = m.head_width, lines_of_key(m)
    row_bytes = LINE * lines
    key_head = head // (m.num_heads // m.num_key_heads)
    start = start_of_head(m, j, slot, layer, key_head)
    keys_at, values_at = ints(j.keys, j.num_slots)[slot] + start, ints(j.values, j.num_slots)[slot] + start
    query_at, mixed_at = j.queries + part * j.query_bytes, j.mixed + part * j.query_bytes
    keep(m, j.qkv + 4 * (n * (m.num_heads + 2 * m.num_key_heads) + head) * width, query_at)
    scores_at = j.scores + 4 * part * j.room
    for key in range(0, num_keys, KEYS_AT_ONCE):
        if m.kind == FLOAT32:
            _scores(keys_at + key * row_bytes, query_at, lines, scores_at + 4 * key)
        else:
            _narrow_scores(keys_at + key * row_bytes, query_at, lines, scores_at + 4 * key)
    scores = floats(scores_at, num_keys)
    top = largest(scores)
    total = ZERO
    for t in range(num_keys):
        weight = exponential((scores[t] - top) * scale)
        scores[t] = weight
        total += weight
    for t in range(num_keys):
        scores[t] /= total
    mix(m, values_at, scores_at, num_keys, row_bytes, mixed_at)
    mixed = floats(mixed_at, width)
    attended = floats(j.attended + 4 * (n * m.num_heads + head) * width, width)
    for i in range(width):
        attended[i] = mixed[i]


@jit
def mix(m: ModelDims, values_at: int, weights_at: int, count: int, row_bytes: int, out_at: int) -> None:
    """The sum of ``count`` values, each times its weight."""
    vectors = row_bytes // LINE if m.kind == FLOAT32 else row_bytes // (LINE // 2)
    i = 0
    while i + 4 <= vectors:
        if m.kind == FLOAT32:
            _mix4(values_at + LINE * i, row_bytes, weights_at, count, out_at + LINE * i)
        else:
            _narrow_mix4(values_at + LINE // 2 * i, row_bytes, weights_at, count, out_at + LINE * i)
        i += 4
    while i < vectors:
        if m.kind == FLOAT32:
            _mix1(values_at + LINE * i, row_bytes, weights_at, count, out_at + LINE * i)
        else:
            _narrow_mix1(values_at + LINE // 2 * i, row_bytes, weights_at, count, out_at + LINE * i)
        i += 1
