"""Each kernel by itself, at odd sizes, against NumPy in float64; and nothing is written beside its results."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
import torch

from textwright.engines.config import DecodingPrecision
from textwright.engines.cpu import decoder
from textwright.engines.cpu.kernels import attention, elementwise, gemm, gemm_inputs
from textwright.engines.cpu.kernels.attention_microkernels import KEYS_PER_TILE, make_scores, make_weighted_sum
from textwright.engines.cpu.kernels.exponent_codec import INPUT_FACTOR
from textwright.engines.cpu.kernels.gemm_microkernels import (
    make_decoded_microkernel,
    make_gemm_microkernel,
    make_panel_decoder,
)
from textwright.engines.cpu.kernels.jobs import kernel_args_at
from textwright.engines.cpu.kernels.layout import (
    ACTIVATIONS,
    BFLOAT16,
    BLOCK,
    CACHE_LINE,
    FLOAT32,
    INT8,
    INTERLEAVE,
    KERNEL_ARGS,
    VALUES_PER_LINE,
    ModelDims,
)
from textwright.engines.cpu.kernels.thread_pool import aligned
from textwright.engines.cpu.kernels.tiles import DECODED_INPUTS, DECODED_PANELS
from textwright.engines.cpu.packing import KINDS, pack_floats, pack_int8
from textwright.kernels import reductions
from textwright.kernels.numba_intrinsics import floats

Array = npt.NDArray[Any]
RANDOM = np.random.default_rng(7)
UNTOUCHED = np.float32(-12345.0)
SIZES = (1, 5, 16, 31, 70)
KINDS_OF_FLOATS = (FLOAT32, BFLOAT16)
EXACTNESS = {FLOAT32: 1e-6, BFLOAT16: 1e-2, INT8: 2e-2}
"""Of a product against that of the numbers before they were rounded, relative to the size of a sum."""


def dims_with(**values: Any) -> ModelDims:
    zero: dict[str, Any] = dict.fromkeys(ModelDims._fields, 0) | {"is_qwen3": False, "norm_eps": 1e-5}
    return ModelDims(**(zero | values))


def args_with(**values: int) -> Any:
    record = np.zeros(1, KERNEL_ARGS)
    for name, value in values.items():
        record[0][name] = value
    return record[0]


def normal(*shape: int, scale: float = 1.0) -> Array:
    """Random numbers at an address that begins a line."""
    made = aligned(math.prod(shape), np.float32).reshape(shape)
    made[:] = RANDOM.normal(0, scale, shape)
    return made


def untouched(*shape: int) -> Array:
    made = aligned(math.prod(shape), np.float32).reshape(shape)
    made[:] = UNTOUCHED
    return made


def close(found: Array, expected: Array, relative: float = 1e-6) -> None:
    scale = max(float(np.abs(expected).max()), 1e-30)
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * scale)


def as_bfloat16(values: Array) -> Array:
    """Its bits, int16, at an address that begins a line."""
    made = aligned(values.size, np.int16).reshape(values.shape)
    made[:] = torch.from_numpy(values).bfloat16().view(torch.int16).numpy()
    return made


def from_bfloat16(bits: Array) -> Array:
    found: Array = torch.from_numpy(np.ascontiguousarray(bits)).view(torch.bfloat16).double().numpy()
    return found


# Elementwise


@pytest.mark.parametrize("size", SIZES)
def test_norms(size: int) -> None:
    x, gain, bias, out = normal(size), normal(size), normal(size), untouched(size + 1)
    wide = x.astype(np.float64)
    elementwise.layer_norm(x, gain, bias, out[:size], 1e-5)
    close(out[:size], (wide - wide.mean()) / np.sqrt(wide.var() + 1e-5) * gain + bias, 3e-6)
    elementwise.rms_norm(x, gain, out[:size], 1e-6)
    expected = wide / np.sqrt((wide**2).mean() + 1e-6) * gain
    close(out[:size], expected)
    assert out[size] == UNTOUCHED
    elementwise.rms_norm(x, gain, x, 1e-6)  # in place
    close(x, expected)


@pytest.mark.parametrize("half", [1, 5, 16, 33])
def test_rope_rotates_pairs_of_the_two_halves(half: int) -> None:
    vector, angles = normal(2 * half), normal(half).astype(np.float64)
    rotated = (vector[:half] + 1j * vector[half:].astype(np.float64)) * np.exp(1j * angles)
    elementwise.apply_rope(vector, np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32))
    close(vector, np.concatenate([rotated.real, rotated.imag]))


REFERENCES: dict[str, Callable[[Any], Any]] = {
    "gelu_tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "gelu": torch.nn.functional.gelu,
    "relu": torch.nn.functional.relu,
    "silu": torch.nn.functional.silu,
}


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_the_columns_asked_for(name: str, gated: bool) -> None:
    rows, width, first, last = 3, 37, 4, 33
    up, gate = normal(rows, width, scale=3), normal(rows, width, scale=3)
    inner = torch.from_numpy(gate if gated else up).double()
    expected = REFERENCES[name](inner).numpy() * (up if gated else 1)
    before = up.copy()
    dims = dims_with(intermediate_size=width, is_qwen3=gated, activation=ACTIVATIONS.index(name))
    for n in range(rows):
        elementwise.activate(dims, args_with(count=rows, up=up.ctypes.data, gate=gate.ctypes.data), n, first, last)
    close(up[:, first:last], expected[:, first:last])
    assert np.array_equal(up[:, :first], before[:, :first])
    assert np.array_equal(up[:, last:], before[:, last:])


def test_the_exponential_is_right_to_the_last_bits_and_never_infinite() -> None:
    x = np.linspace(-87, 88, 10_001, dtype=np.float32)
    found = np.array([elementwise.exponential(value) for value in x])
    np.testing.assert_allclose(found, np.exp(x.astype(np.float64)), rtol=3e-7)
    assert elementwise.exponential(np.float32(0)) == 1
    assert 0 < elementwise.exponential(np.float32(-1e4)) < 1e-37
    assert np.isfinite(elementwise.exponential(np.float32(1e4)))


@pytest.mark.parametrize("size", SIZES)
def test_greatest_values_and_sizes(size: int) -> None:
    for place in range(size):
        values = -np.abs(normal(size)) - np.float32(1)
        values[place] = -0.5
        assert reductions.max_value(values) == -0.5
        values[place] = -100
        assert reductions.max_abs(values) == 100


@pytest.mark.parametrize("has_positions", [False, True])
def test_embeddings(has_positions: bool) -> None:
    width, table, positions, out = 7, normal(11, 7), normal(5, 7), untouched(3, 7)
    ids, places = np.array([10, 0]), np.array([4, 2])
    args = args_with(
        count=2, token_ids=ids.ctypes.data, positions=places.ctypes.data, residual=out.ctypes.data,
        token_embedding=table.ctypes.data, position_embedding=positions.ctypes.data if has_positions else 0,
    )  # fmt: skip
    for n in range(2):
        elementwise.embed(dims_with(hidden_size=width, vocab_size=11, context_length=5), args, n)
    assert np.array_equal(out[:2], table[ids] + positions[places] if has_positions else table[ids])
    assert (out[2] == UNTOUCHED).all()


# Attention


@pytest.mark.parametrize("num_lines", [1, 2.5, 3])
@pytest.mark.parametrize("kind", KINDS_OF_FLOATS)
def test_scores_of_one_query_with_sixteen_keys(kind: int, num_lines: float) -> None:
    width, lines = int(num_lines * VALUES_PER_LINE[kind]), math.ceil(num_lines)
    keys, out = normal(KEYS_PER_TILE + 1, width), untouched(KEYS_PER_TILE + 1)  # the last is read for its half line
    query = np.zeros(lines * VALUES_PER_LINE[kind], np.float32)
    query[:width] = normal(width)
    scores = make_scores(kind)

    @numba.njit
    def call(keys_at: int, row_bytes: int, query_at: int, lines: int, out_at: int) -> None:
        scores(keys_at, row_bytes, query_at, lines, out_at, keys_at)

    given, asked = (as_bfloat16(keys), as_bfloat16(query)) if kind == BFLOAT16 else (keys, query)
    call(given.ctypes.data, given.strides[0], asked.ctypes.data, lines, out.ctypes.data)
    if kind == BFLOAT16:
        keys, query = from_bfloat16(given), from_bfloat16(asked)
    close(out[:-1], keys[:-1].astype(np.float64) @ query[:width].astype(np.float64), 3e-6)
    assert out[-1] == UNTOUCHED


@pytest.mark.parametrize("count", [1, 2, 17])
@pytest.mark.parametrize("num_vectors", [1, 4])
@pytest.mark.parametrize("kind", KINDS_OF_FLOATS)
def test_the_micro_kernels_of_weighted_sums(kind: int, num_vectors: int, count: int) -> None:
    width, stride = 16 * num_vectors, 16 * num_vectors + 32  # rows are wider than what is summed
    values, weights, out = normal(count, stride), normal(count), untouched(width + 1)
    before = out[:-1] = normal(width)
    microkernel = make_weighted_sum(kind, num_vectors)

    @numba.njit
    def call(values_at: int, row_bytes: int, weights_at: int, rows: int, out_at: int) -> None:
        microkernel(values_at, row_bytes, weights_at, rows, out_at, values_at)

    bits = as_bfloat16(values) if kind == BFLOAT16 else values
    call(bits.ctypes.data, bits.strides[0], weights.ctypes.data, count, out.ctypes.data)
    exact = from_bfloat16(bits) if kind == BFLOAT16 else values.astype(np.float64)
    close(out[:-1], before + weights.astype(np.float64) @ exact[:, :width], 3e-6)
    assert out[-1] == UNTOUCHED


@pytest.mark.parametrize("num_lines", [1, 2.5, 4, 7])
@pytest.mark.parametrize("kind", KINDS_OF_FLOATS)
def test_weighted_sums_of_however_many_lines(kind: int, num_lines: float) -> None:
    count, width, lines = 19, int(num_lines * VALUES_PER_LINE[kind]), math.ceil(num_lines)
    values, weights = normal(count + 1, width), normal(count)  # the last is read for its half line
    out = untouched(lines * VALUES_PER_LINE[kind] + 1)
    bits = as_bfloat16(values) if kind == BFLOAT16 else values
    here = bits.ctypes.data
    attention.weighted_sum(kind, here, bits.strides[0], lines, weights.ctypes.data, count, out.ctypes.data, here)
    exact = from_bfloat16(bits) if kind == BFLOAT16 else values.astype(np.float64)
    close(out[:width], weights.astype(np.float64) @ exact[:-1], 3e-6)
    assert out[-1] == UNTOUCHED


@pytest.mark.parametrize("size", SIZES)
def test_softmax(size: int) -> None:
    scores = normal(size, scale=20)
    expected = torch.from_numpy(scores).double().mul(0.3).softmax(0).numpy()
    attention.softmax(scores, np.float32(0.3))
    close(scores, expected, 1e-5)


# Matrix products


@pytest.mark.parametrize("count", [1, 3, 4, 7, 16, 23, 24, 37])
@pytest.mark.parametrize("kind", [FLOAT32, BFLOAT16, INT8])
def test_every_input_is_in_one_tile_as_large_as_can_be(kind: int, count: int) -> None:
    tiles = [gemm_inputs.input_tile(kind, n, count) for n in range(count)]
    assert all(first <= n < first + size and first + size <= count for n, (first, size) in enumerate(tiles))
    assert [size for _, size in tiles] == sorted((size for _, size in tiles), reverse=True)
    few = (
        -(-count // DECODED_INPUTS)
        if gemm_inputs.is_decoded(kind, count)
        else count // 16 + count % 16 // 4 + count % 4
    )
    assert sum(1 / size for _, size in tiles) == pytest.approx(few)


@pytest.mark.parametrize("num_threads", [1, 3, 7])
def test_threads_have_all_rows_between_them(num_threads: int) -> None:
    for kind in (FLOAT32, BFLOAT16, INT8):
        for rows in (1, 33, 320):
            parts = [gemm.partition_rows(kind, rows, thread, num_threads) for thread in range(num_threads)]
            ends = [0, *(last for _, last in parts)]
            assert [first for first, _ in parts] == ends[:-1]
            assert ends[-1] == gemm.padded_rows(kind, rows) >= rows


def packed_inputs(kind: int, x: Array) -> tuple[Array, Array, ModelDims, Any]:
    """Inputs packed for tiles, their blocks, and the arguments with which they were."""
    count, columns = x.shape
    lines = gemm_inputs.num_lines(kind, columns)
    words = VALUES_PER_LINE[kind] if gemm_inputs.is_decoded(kind, count) else 16
    packed, blocks = untouched(count * lines * words + 1), untouched(2 * count * lines)
    dims = dims_with(kind=kind)
    args = args_with(count=count, packed_inputs=packed.ctypes.data, blocks=blocks.ctypes.data)
    for n in range(count):
        gemm_inputs.pack_inputs(dims, args, x.ctypes.data, columns, n)
    assert packed[-1] == UNTOUCHED
    return packed[:-1], blocks, dims, args


@pytest.mark.parametrize("columns", [1, 64, 70, 300])
@pytest.mark.parametrize("count", [1, 6, 21, 29])
@pytest.mark.parametrize("kind", [FLOAT32, BFLOAT16, INT8])
def test_inputs_are_packed_in_lines_of_their_tile(kind: int, count: int, columns: int) -> None:
    x = normal(count, columns)
    packed, blocks, _, _ = packed_inputs(kind, x)
    are_floats = kind == FLOAT32 or gemm_inputs.is_decoded(kind, count)
    per_line = 16 if are_floats else VALUES_PER_LINE[kind]
    lines = gemm_inputs.num_lines(kind, columns) * (VALUES_PER_LINE[kind] // per_line)
    words = packed.view(np.float32 if are_floats else {BFLOAT16: np.int16, INT8: np.int8}[kind]).reshape(-1, per_line)
    num_blocks = -(-columns // BLOCK)
    of_blocks = blocks[: 2 * count * num_blocks].reshape(count, num_blocks, 2)
    for n in range(count):
        first, size = gemm_inputs.input_tile(kind, n, count)
        own = words[first * lines + n - first :][: lines * size : size].reshape(-1)
        assert not own[columns:].any()
        if kind == FLOAT32:
            assert np.array_equal(own[:columns], x[n] * INPUT_FACTOR)
        elif kind == BFLOAT16:
            rounded = as_bfloat16(x[n] * INPUT_FACTOR)
            assert np.array_equal(own[:columns], from_bfloat16(rounded) if are_floats else rounded)
        else:
            scales = of_blocks[n, :, 0]
            for block, scale in enumerate(scales):
                part = slice(block * BLOCK, min(columns, (block + 1) * BLOCK))
                assert scale == pytest.approx(np.abs(x[n, part]).max() / 127, rel=3e-7)
                close(own[part] * np.float64(scale), x[n, part], 0.5 / 127 * 1.001)
                assert np.array_equal(own[part], np.rint(own[part]))
                assert (
                    are_floats or of_blocks[n, block, 1:].view(np.int32)[0] == -128 * own[part].astype(np.int64).sum()
                )


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 1.00390625, 1.01171875, -3.3e38, 1e-40, math.inf, -math.inf])
def test_rounding_to_bfloat16_is_torchs(value: float) -> None:
    expected = torch.tensor(value, dtype=torch.float32).bfloat16().view(torch.int16)
    assert gemm_inputs.rounded_to_bfloat16(np.float32(value)) == int(expected)
    assert np.isnan(from_bfloat16(np.array([gemm_inputs.rounded_to_bfloat16(np.float32(math.nan))], np.int16)))[0]


def tile(kind: int, x: Array) -> Array:
    """Inputs as a tile of their own: line 0 of each, line 1 of each, ..."""
    per_line = VALUES_PER_LINE[kind]
    lines = -(-x.shape[1] // per_line)
    padded = np.zeros((len(x), lines * per_line), np.float32)
    padded[:, : x.shape[1]] = x * INPUT_FACTOR
    words = padded if kind == FLOAT32 else as_bfloat16(padded).view(np.float32)
    packed = aligned(words.size, np.float32)
    packed[:] = words.reshape(len(x), lines, 16).transpose(1, 0, 2).reshape(-1)
    return packed


def panels_of(precision: DecodingPrecision, weight: Array) -> tuple[Array, Array]:
    """The panels of a matrix without outliers, at an address that begins a line, and its rows' factors."""
    panels, factors, outliers = pack_floats(torch.from_numpy(weight), precision)
    assert len(outliers) == INTERLEAVE[KINDS[precision]] + 1
    memory = aligned(panels.numel(), np.int32)
    memory[:] = panels.numpy().reshape(-1)
    return memory, factors.numpy()


@pytest.mark.parametrize("num_inputs", [1, 4, 16])
@pytest.mark.parametrize("num_panels", [1, 2])
@pytest.mark.parametrize("columns", [1, 70])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_micro_kernels_of_products_of_floats(
    precision: DecodingPrecision, columns: int, num_panels: int, num_inputs: int
) -> None:
    """int8's are in test_int8_products.py."""
    kind, rows = KINDS[precision], 16 * INTERLEAVE[KINDS[precision]]
    weight, x = normal(rows, columns), normal(num_inputs, columns)
    weight = np.sign(weight) * np.clip(np.abs(weight), 0.05, None)  # no outliers, which are added elsewhere
    (memory, factors), packed = panels_of(precision, weight), tile(kind, x)
    sums = untouched(num_panels * num_inputs * 16 + 1)
    microkernel = make_gemm_microkernel(kind, num_inputs, num_panels)

    @numba.njit
    def call(panel: int, inputs: int, blocks: int, lines: int, sums_at: int) -> None:
        microkernel(panel, inputs, blocks, lines, sums_at)

    call(memory.ctypes.data, packed.ctypes.data, 0, gemm_inputs.num_lines(kind, columns), sums.ctypes.data)
    assert sums[-1] == UNTOUCHED
    rounded = [from_bfloat16(as_bfloat16(m)) if kind == BFLOAT16 else m.astype(np.float64) for m in (weight, x)]
    expected = (rounded[1] @ rounded[0].T).reshape(num_inputs, -1, 16).transpose(1, 0, 2)[:num_panels]
    found = sums[:-1].reshape(num_panels, num_inputs, 16) * factors.reshape(-1, 1, 16)[:num_panels]
    close(found, expected, 3e-6)


@pytest.mark.parametrize("num_inputs", sorted({1, 2, 5, DECODED_INPUTS}))
@pytest.mark.parametrize("columns", [1, 70])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_decoded_weights_and_their_products(precision: DecodingPrecision, columns: int, num_inputs: int) -> None:
    kind, rows = KINDS[precision], 16 * INTERLEAVE[KINDS[precision]]
    weight, x = normal(rows, columns), normal(num_inputs, columns)
    weight = np.sign(weight) * np.clip(np.abs(weight), 0.05, None)
    memory, factors = panels_of(precision, weight)
    lines, rows = gemm_inputs.num_lines(kind, columns), 16 * DECODED_PANELS
    size, apart = lines * VALUES_PER_LINE[kind], (num_inputs + 1) * 16
    padded = np.pad(x, ((0, 0), (0, size - columns)))
    decoded, sums, packed = untouched(size * rows + 1), untouched(DECODED_PANELS * apart), tile(FLOAT32, padded)
    of_panels = sums.reshape(DECODED_PANELS, num_inputs + 1, 16)
    of_panels[:, :num_inputs] = 0
    decode, multiply = make_panel_decoder(kind), make_decoded_microkernel(num_inputs)

    @numba.njit
    def call(panel: int, lines: int, decoded_at: int, inputs: int, sums_at: int) -> None:
        decode(panel, lines, decoded_at)
        multiply(decoded_at, inputs, size // 16, sums_at, 4 * apart)

    for _ in range(2):  # the second time it is added
        call(memory.ctypes.data, lines, decoded.ctypes.data, packed.ctypes.data, sums.ctypes.data)
    assert decoded[-1] == UNTOUCHED
    assert (of_panels[:, num_inputs] == UNTOUCHED).all()
    exact = from_bfloat16(as_bfloat16(weight)) if kind == BFLOAT16 else weight.astype(np.float64)
    scales = factors[:rows, None] * np.float64(INPUT_FACTOR)
    np.testing.assert_array_equal(decoded[:-1].reshape(size, rows)[:columns].T * scales, exact[:rows])
    found = of_panels[:, :num_inputs].transpose(1, 0, 2).reshape(num_inputs, rows) * factors[:rows]
    close(found, 2 * x.astype(np.float64) @ exact[:rows].T, 3e-6)


@pytest.mark.parametrize("rows_left", [-16, 0, 1, 15, 16, 40])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("count", [1, 4, 16])
def test_the_epilogue_scales_adds_and_stops_at_the_last_row(count: int, adds: bool, rows_left: int) -> None:
    sums, scales, bias, stride = normal(count, 16), normal(16), normal(16), 41
    out, rows = normal(count, stride), max(0, min(16, rows_left))
    expected = out.astype(np.float64)
    total = sums[:, :rows].astype(np.float64) * scales[:rows] + bias[:rows]
    expected[:, :rows] = total + (expected[:, :rows] if adds else 0)
    addresses = [array.ctypes.data for array in (scales, bias, out)]
    gemm.epilogue(sums.ctypes.data, count, *addresses, stride, adds, rows_left)
    close(out, expected)
    assert np.array_equal(out[:, rows:], expected[:, rows:].astype(np.float32))


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("count", [1, 7, 21, 43])
@pytest.mark.parametrize("shape", [(1, 1), (50, 70), (33, 300), (310, 1100)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_products_of_several_threads(
    precision: DecodingPrecision, shape: tuple[int, int], count: int, has_bias: bool
) -> None:
    (rows, columns), kind = shape, KINDS[precision]
    weight, x, bias = normal(rows, columns), normal(count, columns), normal(rows + 16)
    # An outlier, or a row whose other weights are rounded to nothing.
    weight[0, 0] = 2 if precision == "int8" else 1e4
    out, taken = product(precision, weight, x, bias if has_bias else None)
    exact = x.astype(np.float64) @ weight.T.astype(np.float64)
    expected = exact + (bias[:rows] if has_bias else 0)
    for row in range(rows):
        size = np.linalg.norm(weight[row]) * np.linalg.norm(x, axis=1).max()
        np.testing.assert_allclose(out[:, row], expected[:, row], rtol=0, atol=EXACTNESS[kind] * size + 1e-6)
    if count >= gemm.MIN_TAKEN:  # each thread found once that nothing was left
        assert taken == -(-rows // gemm.ROWS_TAKEN) + NUM_THREADS


@pytest.mark.parametrize("shape", [(50, 70), (310, 1100)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_product_is_the_same_beside_others(precision: DecodingPrecision, shape: tuple[int, int]) -> None:
    """To the last bit: a text must not depend on what is written with it."""
    weight, x, bias = normal(*shape), normal(43, shape[1]), normal(shape[0] + 16)
    alone = [product(precision, weight, x[n : n + 1], bias)[0] for n in range(43)]
    for count in (2, 5, 17, 43):
        together, _ = product(precision, weight, x[:count], bias)
        assert np.array_equal(together, np.concatenate(alone[:count]))


NUM_THREADS = 3


def product(precision: DecodingPrecision, weight: Array, x: Array, bias: Array | None) -> tuple[Array, int]:
    """What the threads make of a matrix and inputs, and how often they took rows."""
    (rows, columns), count, kind = weight.shape, len(x), KINDS[precision]
    if precision == "int8":
        parts = [*pack_int8(torch.from_numpy(weight)), torch.zeros(0)]
    else:
        parts = [*pack_floats(torch.from_numpy(weight), precision)]
    held = []
    for part in parts:
        memory = aligned(part.numel() * part.element_size() + CACHE_LINE, np.uint8)
        memory[: part.numel() * part.element_size()] = part.contiguous().view(torch.uint8).numpy().reshape(-1)
        held.append(memory)
    matrix = held[0].ctypes.data, held[1].ctypes.data, 0 if precision == "int8" else held[2].ctypes.data
    _packed, _blocks, dims, args = packed_inputs(kind, x)
    zeros = np.zeros(16, np.float32)
    sums, out = aligned(NUM_THREADS * gemm.SUMS, np.float32), untouched(count + 1, rows)
    taken = np.zeros(1, np.int64)
    args["sums"], args["zeros"] = sums.ctypes.data, zeros.ctypes.data
    for thread in range(NUM_THREADS):
        gemm.gemm(
            dims, args, matrix, 0 if bias is None else bias.ctypes.data, columns, out.ctypes.data, rows, False,
            taken.ctypes.data, thread, NUM_THREADS,
        )  # fmt: skip
    assert (out[count] == UNTOUCHED).all()
    return out[:count], int(taken[0])


def test_a_job_is_read_as_it_was_written() -> None:
    values = np.zeros(1, KERNEL_ARGS)
    for n, name in enumerate(KERNEL_ARGS.names or ()):
        values[0][name] = n + 1

    @numba.njit
    def read(address: int) -> tuple[int, float, int]:
        args = kernel_args_at(address)
        return args.kind, args.norm_eps, args.head_size

    assert read(values.ctypes.data) == (1, len(ModelDims._fields), len(KERNEL_ARGS.names or ()))
    assert floats(normal(3).ctypes.data, 3).shape == (3,)


def test_the_readmes_example_runs() -> None:
    readme = Path(decoder.__file__).with_name("README.md").read_text(encoding="utf-8")
    example, _ = re.findall(r"^```python\n(.*?)^```", readme, flags=re.M | re.S)
    exec(compile(example, "README.md", "exec"), {})
