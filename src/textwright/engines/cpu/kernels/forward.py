"""A forward pass of a GPT on a CPU: every thread runs all of it, and does its share of each stage.

::

    embed, norm | q k v | cache | attend | pack | out | norm | up, activate | pack | down, norm | q k v | ...
                ^ barrier       ^        ^      ^     ^      ^              ^      ^

Matrix products are shared by rows of the matrix, attention by heads, the rest by tokens. A token's numbers depend
neither on what other tokens are computed with it nor on the number of threads.
"""

from typing import Any

from textwright.engines.cpu.kernels.attention import attend_all, store_kv
from textwright.engines.cpu.kernels.elementwise import activate, embed, log_sum, normalise
from textwright.engines.cpu.kernels.gemm import ADDED, MIN_TAKEN, NO_BIAS, STORED, gemm, partition_rows
from textwright.engines.cpu.kernels.gemm_inputs import pack_inputs
from textwright.engines.cpu.kernels.layout import (
    ATTENTION,
    ATTENTION_NORM,
    ATTENTION_NORM_BIAS,
    DOWN,
    DOWN_BIAS,
    GATE,
    MLP_NORM,
    MLP_NORM_BIAS,
    NUM_TENSORS,
    OUT,
    OUT_BIAS,
    OUTLIERS,
    PARTS,
    QKV,
    QKV_BIAS,
    SCALES,
    STAGES,
    UP,
    UP_BIAS,
    ModelDims,
)
from textwright.kernels.numba_intrinsics import (
    atomic_add,
    atomic_load,
    atomic_store,
    check_index,
    float_at,
    floats,
    ints,
    jit,
    jit_into_its_caller,
    pause,
    row_of,
    sched_yield,
)

EPOCH = 64
"""Bytes from a barrier's count of who has come to its count of openings: a line of the cache away."""
SPINS = 4000
"""Spins at a barrier before a thread lets others have its core."""


@jit_into_its_caller
def run_forward(args: Any, barrier_at: int, thread: int, num_threads: int) -> None:
    """Read ``args.count`` tokens: their keys and values into the cache, the last hidden states of those that are wanted
    to ``args.hidden``.

    Args:
        args: the job.
        barrier_at: the address of two lines of memory that all threads share: the barrier's.
        thread: which of the threads this is.
        num_threads: how many there are.
    """
    dims = dims_of(args)
    scales = floats(args.attention_scales, dims.num_layers)
    attended_size, key_size = dims.num_heads * dims.head_dim, dims.num_key_value_heads * dims.head_dim
    for n in range(thread, args.count, num_threads):
        embed(dims, args, n)
    for layer in range(dims.num_layers):
        weights = ints(args.weight_table + 8 * NUM_TENSORS * layer, NUM_TENSORS)
        for n in range(thread, args.count, num_threads):
            normalise(dims, args.residual, weights[ATTENTION_NORM], weights[ATTENTION_NORM_BIAS], args.normed, n)
            pack_inputs(dims, args, args.normed, dims.hidden_size, n)
        barrier(barrier_at, num_threads)
        matrix, bias, size = packed_matrix(weights, QKV), weights[QKV_BIAS], attended_size + 2 * key_size
        counter = taken_of(args, layer, QKV)
        gemm(dims, args, matrix, bias, dims.hidden_size, args.qkv, size, STORED, counter, thread, num_threads)
        barrier(barrier_at, num_threads)
        for n in range(thread, args.count, num_threads):
            store_kv(dims, args, weights, layer, n)
        barrier(barrier_at, num_threads)
        if layer == dims.num_layers - 1 and args.num_wanted < args.count:
            barrier(barrier_at, num_threads)  # every thread has looked at the count
            if thread == 0:
                keep_wanted(dims, args)
            barrier(barrier_at, num_threads)
        attend_all(dims, args, layer, taken_of(args, layer, ATTENTION), thread, num_threads, scales[layer])
        barrier(barrier_at, num_threads)
        for n in range(thread, args.count, num_threads):
            pack_inputs(dims, args, args.attention_out, attended_size, n)
        barrier(barrier_at, num_threads)
        matrix, bias = packed_matrix(weights, OUT), weights[OUT_BIAS]
        size, counter = dims.hidden_size, taken_of(args, layer, OUT)
        gemm(dims, args, matrix, bias, attended_size, args.residual, size, ADDED, counter, thread, num_threads)
        barrier(barrier_at, num_threads)
        run_mlp(dims, args, weights, layer, barrier_at, thread, num_threads)
    for n in range(thread, args.count, num_threads):
        normalise(dims, args.residual, args.final_norm, args.final_norm_bias, args.hidden, n)
    barrier(barrier_at, num_threads)


@jit
def keep_wanted(dims: ModelDims, args: Any) -> None:
    """Let the tokens whose hidden states are wanted be all that there are: each where it stands among them."""
    wanted = ints(args.wanted, args.num_wanted)
    slots, positions = ints(args.slots, args.count), ints(args.positions, args.count)
    qkv_size = (dims.num_heads + 2 * dims.num_key_value_heads) * dims.head_dim
    for i in range(len(wanted)):
        n = wanted[i]
        check_index(n, args.count)
        if i < n:
            slots[i], positions[i] = slots[n], positions[n]
            move_row(args.residual, n, i, dims.hidden_size)
            move_row(args.qkv, n, i, qkv_size)
    args.count = len(wanted)


@jit
def move_row(base: int, source: int, target: int, width: int) -> None:
    """A row of a matrix to where another one was."""
    # Number by number: slices may differ in length for all that Numba knows, and it would bring along how to say so.
    given, taken = row_of(base, source, width), row_of(base, target, width)
    for k in range(width):
        taken[k] = given[k]


@jit_into_its_caller
def run_mlp(
    dims: ModelDims, args: Any, weights: Any, layer: int, barrier_at: int, thread: int, num_threads: int
) -> None:
    """The second half of a layer."""
    hidden_size, size = dims.hidden_size, dims.intermediate_size
    for n in range(thread, args.count, num_threads):
        normalise(dims, args.residual, weights[MLP_NORM], weights[MLP_NORM_BIAS], args.normed, n)
        pack_inputs(dims, args, args.normed, hidden_size, n)
    barrier(barrier_at, num_threads)
    if dims.is_qwen3:
        matrix = packed_matrix(weights, GATE)
        counter = taken_of(args, layer, GATE)
        gemm(dims, args, matrix, NO_BIAS, hidden_size, args.gate, size, STORED, counter, thread, num_threads)
    matrix, bias, counter = packed_matrix(weights, UP), weights[UP_BIAS], taken_of(args, layer, UP)
    gemm(dims, args, matrix, bias, hidden_size, args.up, size, STORED, counter, thread, num_threads)
    if args.count < MIN_TAKEN:
        first, last = partition_rows(dims.kind, size, thread, num_threads)
        for n in range(args.count):
            activate(dims, args, n, first, min(size, last))  # what this thread multiplied: no need to wait
    barrier(barrier_at, num_threads)
    for n in range(thread, args.count, num_threads):
        if args.count >= MIN_TAKEN:
            activate(dims, args, n, 0, size)
        pack_inputs(dims, args, args.up, size, n)
    barrier(barrier_at, num_threads)
    matrix, bias, counter = packed_matrix(weights, DOWN), weights[DOWN_BIAS], taken_of(args, layer, DOWN)
    gemm(dims, args, matrix, bias, size, args.residual, hidden_size, ADDED, counter, thread, num_threads)
    barrier(barrier_at, num_threads)


@jit_into_its_caller
def run_head(args: Any, barrier_at: int, thread: int, num_threads: int) -> None:
    """Logits of ``args.count`` hidden states."""
    dims = dims_of(args)
    for n in range(thread, args.count, num_threads):
        pack_inputs(dims, args, args.hidden, dims.hidden_size, n)
    barrier(barrier_at, num_threads)
    matrix = args.head, args.head_scales, args.head_outliers
    size, counter = dims.vocab_size, taken_of(args, 0, QKV)
    gemm(dims, args, matrix, NO_BIAS, dims.hidden_size, args.logits, size, STORED, counter, thread, num_threads)
    barrier(barrier_at, num_threads)


@jit_into_its_caller
def run_log_sums(args: Any, barrier_at: int, thread: int, num_threads: int) -> None:
    """What turns ``args.count`` rows of logits into log-probabilities: see ``log_sum``."""
    sums = floats(args.log_sums, args.count)
    for n in range(thread, args.count, num_threads):
        sums[n] = log_sum(floats(float_at(args.logits, n * args.logits_stride), args.num_logits))
    barrier(barrier_at, num_threads)


@jit
def taken_of(args: Any, layer: int, stage: int) -> int:
    """The address of the count of what is taken of a stage of a layer: of a product, as of its matrix."""
    place = stage if stage == ATTENTION else stage // len(PARTS)
    return args.taken + 8 * (STAGES * layer + place)  # type: ignore[no-any-return]


@jit
def dims_of(args: Any) -> ModelDims:
    """The dimensions of a job's model."""
    return ModelDims(
        args.kind,
        args.num_layers,
        args.hidden_size,
        args.num_heads,
        args.num_key_value_heads,
        args.head_dim,
        args.intermediate_size,
        args.vocab_size,
        args.context_length,
        args.is_qwen3 != 0,
        args.activation,
        args.norm_eps,
    )


@jit
def packed_matrix(layer_weights: Any, which: int) -> tuple[int, int, int]:
    """Where a matrix of a layer is: panels, scales and outliers."""
    return layer_weights[which], layer_weights[which + SCALES], layer_weights[which + OUTLIERS]


@jit
def barrier(barrier_at: int, num_threads: int) -> None:
    """Go on when every thread has come here."""
    if num_threads == 1:
        return
    epoch = atomic_load(barrier_at + EPOCH)
    if atomic_add(barrier_at, 1) == num_threads - 1:
        atomic_store(barrier_at, 0)
        atomic_store(barrier_at + EPOCH, epoch + 1)
        return
    spins = 0
    while atomic_load(barrier_at + EPOCH) == epoch:
        pause()
        spins += 1
        if spins > SPINS:
            sched_yield()
