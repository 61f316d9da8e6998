"""The one piece all time is spent in: a few rows of a matrix times a few vectors.

::

            inputs             every sum is made the same way, whatever tile it is computed in:
           x0 x1 x2 x3
      w0    .  .  .  .         lane 0   w[0] x[0]  + w[16] x[16] + ...
      w1    .  .  .  .         lane 1   w[1] x[1]  + w[17] x[17] + ...     sixteen lanes, added up at the end,
      w2    .  .  .  .         ...                                         then what is left of the width
      w3    .  .  .  .

So a result does not depend on what else is computed beside it, to the last bit. Weights come in three kinds. float32
and bfloat16 are multiplied with float32 inputs. int8 weights, stored as weight + 128 in a byte, are multiplied with
int8 inputs: 64 products are summed exactly as integers, then scaled by their inputs' block; the 128s are taken off by
the caller.
"""

from collections.abc import Callable
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from textwright.generation.kernels.native import FLOAT, I8, I32, I64

FLOAT32, BFLOAT16, INT8 = 0, 1, 2
BLOCK = 64
"""int8 inputs that share a scale."""
LANES = 16
_VECTOR = ir.VectorType(FLOAT, LANES)
_INTEGERS = ir.VectorType(I32, LANES)
_HAS_VNNI = bool(llvmlite.binding.get_host_cpu_features().get("avx512vnni"))
"""Whether the processor multiplies and adds four pairs of bytes in each lane at once."""


def make_dots(kind: int, num_rows: int, num_inputs: int) -> Callable[..., None]:
    """A compiled function of one tile: ``num_rows`` rows of ``kind`` by ``num_inputs`` vectors.

    Its arguments, all int64: the address of the first row and bytes from row to row; address of the first vector and
    bytes from vector to vector; address of the first vector's block scales and bytes from vector to vector (int8 only);
    the width (for int8 a multiple of ``BLOCK``); where to put the sums, float32, [num_rows, num_inputs].
    """

    @intrinsic
    def dots(
        _: Any, weights: Any, row_bytes: Any, inputs: Any, input_bytes: Any, scales: Any, of: Any, width: Any, sums: Any
    ) -> Any:
        def make(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            _Tile(builder, kind, num_rows, num_inputs, *arguments).compute()
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), make

    function: Callable[..., None] = dots
    return function


def make_mix(num_vectors: int) -> Callable[..., None]:
    """A compiled function that sums weighted vectors: ``16 x num_vectors`` columns of a float32 matrix.

    Its arguments, all int64: the address of the first row's first column and bytes from row to row; the address of the
    rows' weights; the number of rows; where to put the sums.
    """

    @intrinsic
    def mix(_: Any, values: Any, row_bytes: Any, weights: Any, count: Any, sums: Any) -> Any:
        def make(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            values, row_bytes, weights, count, sums = arguments
            lanes = [cgutils.alloca_once(b, _VECTOR) for _ in range(num_vectors)]
            for lane in lanes:
                b.store(ir.Constant(_VECTOR, [0.0] * LANES), lane)
            with cgutils.for_range(b, count, intp=I64) as loop:
                weight = _splat(b, _load(b, b.add(weights, b.mul(loop.index, _int(4))), FLOAT, 1, 4))
                row = b.add(values, b.mul(loop.index, row_bytes))
                for place, lane in enumerate(lanes):
                    value = _load(b, b.add(row, _int(4 * LANES * place)), FLOAT, LANES, 4)
                    b.store(_plus_product(b, b.load(lane), weight, value), lane)
            for place, lane in enumerate(lanes):
                at = b.inttoptr(b.add(sums, _int(4 * LANES * place)), _VECTOR.as_pointer())
                b.store(b.load(lane), at, align=4)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), make

    function: Callable[..., None] = mix
    return function


class _Tile:
    """The code of one tile, in LLVM's language."""

    def __init__(
        self,
        builder: ir.IRBuilder,
        kind: int,
        num_rows: int,
        num_inputs: int,
        weights: Any,
        weight_stride: Any,
        inputs: Any,
        input_stride: Any,
        scales: Any,
        scale_stride: Any,
        width: Any,
        sums: Any,
    ) -> None:
        self.builder, self.kind, self.width, self.sums = builder, kind, width, sums
        self.rows = self._strided(weights, weight_stride, num_rows)
        self.inputs = self._strided(inputs, input_stride, num_inputs)
        self.scales = self._strided(scales, scale_stride, num_inputs)
        zeros = ir.Constant(_VECTOR, [0.0] * LANES)
        self.lanes = [[cgutils.alloca_once(builder, _VECTOR) for _ in self.inputs] for _ in self.rows]
        for lanes in self.lanes:
            for lane in lanes:
                builder.store(zeros, lane)

    def compute(self) -> None:
        """All sums."""
        b = self.builder
        step = BLOCK if self.kind == INT8 else LANES
        chunks = b.udiv(self.width, _int(step))
        with cgutils.for_range(b, chunks, intp=I64) as loop:
            if self.kind == INT8:
                self._add_block(loop.index)
            else:
                self._add_lanes(b.mul(loop.index, _int(LANES)))
        done = b.mul(chunks, _int(step))
        for r, lanes in enumerate(self.lanes):
            for n, lane in enumerate(lanes):
                total = cgutils.alloca_once(b, FLOAT)
                summed = (ir.Constant(FLOAT, 0.0), b.load(lane))
                b.store(self._call("llvm.vector.reduce.fadd.v16f32", FLOAT, *summed, fastmath=("reassoc",)), total)
                if self.kind != INT8:
                    with cgutils.for_range(b, b.sub(self.width, done), intp=I64) as rest:
                        k = b.add(done, rest.index)
                        product = (self._weights(r, k, 1), self._floats(self.inputs[n], k, 1))
                        b.store(_plus_product(b, b.load(total), *product), total)
                place = b.add(self.sums, _int(4 * (r * len(lanes) + n)))
                b.store(b.load(total), b.inttoptr(place, FLOAT.as_pointer()))

    def _add_lanes(self, k: Any) -> None:
        weights = [self._weights(row, k, LANES) for row in range(len(self.rows))]
        for n, at in enumerate(self.inputs):
            values = self._floats(at, k, LANES)
            for row, weight in enumerate(weights):
                lane = self.lanes[row][n]
                self.builder.store(_plus_product(self.builder, self.builder.load(lane), weight, values), lane)

    def _add_block(self, block: Any) -> None:
        b = self.builder
        offset = b.mul(block, _int(BLOCK))
        weights = [self._bytes(b.add(row, offset)) for row in self.rows]
        for n, at in enumerate(self.inputs):
            values, scale = self._bytes(b.add(at, offset)), _splat(b, self._floats(self.scales[n], block, 1))
            for row, weight in enumerate(weights):
                lane = self.lanes[row][n]
                whole = b.sitofp(self._sums_of_four(weight, values), _VECTOR)
                b.store(_plus_product(b, b.load(lane), whole, scale), lane)

    def _sums_of_four(self, unsigned: Any, signed: Any) -> Any:
        """In each lane the sum of four products of bytes, exactly."""
        b = self.builder
        if _HAS_VNNI:
            arguments = [ir.Constant(_INTEGERS, [0] * LANES), *(b.bitcast(v, _INTEGERS) for v in (unsigned, signed))]
            return self._call("llvm.x86.avx512.vpdpbusd.512", _INTEGERS, *arguments)
        wide = ir.VectorType(I32, BLOCK)
        products = b.mul(b.zext(unsigned, wide), b.sext(signed, wide))
        quarters = []
        for start in range(4):
            mask = ir.Constant(_INTEGERS, [start + 4 * lane for lane in range(LANES)])
            quarters.append(b.shuffle_vector(products, ir.Constant(wide, ir.Undefined), mask))
        return b.add(b.add(quarters[0], quarters[1]), b.add(quarters[2], quarters[3]))

    def _weights(self, row: int, k: Any, count: int) -> Any:
        if self.kind == FLOAT32:
            return self._floats(self.rows[row], k, count)
        b = self.builder
        halves = _load(b, b.add(self.rows[row], b.mul(k, _int(2))), ir.IntType(16), count, 2)
        shift = ir.Constant(I32, 16) if count == 1 else ir.Constant(_INTEGERS, [16] * LANES)
        bits = b.shl(b.zext(halves, I32 if count == 1 else _INTEGERS), shift)
        return b.bitcast(bits, FLOAT if count == 1 else _VECTOR)

    def _floats(self, at: Any, k: Any, count: int) -> Any:
        return _load(self.builder, self.builder.add(at, self.builder.mul(k, _int(4))), FLOAT, count, 4)

    def _bytes(self, at: Any) -> Any:
        return _load(self.builder, at, I8, BLOCK, 1)

    def _call(self, name: str, result: Any, *arguments: Any, fastmath: tuple[str, ...] = ()) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, arguments, fastmath=fastmath)

    def _strided(self, first: Any, stride: Any, count: int) -> list[Any]:
        b = self.builder
        return [b.add(first, b.mul(stride, _int(index))) for index in range(count)]


def _int(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


def _load(b: ir.IRBuilder, address: Any, kind: Any, count: int, align: int) -> Any:
    loaded = kind if count == 1 else ir.VectorType(kind, count)
    return b.load(b.inttoptr(address, loaded.as_pointer()), align=align)


def _plus_product(b: ir.IRBuilder, total: Any, left: Any, right: Any) -> Any:
    return b.fadd(b.fmul(left, right, flags=("contract",)), total, flags=("contract",))


def _splat(b: ir.IRBuilder, value: Any) -> Any:
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = b.insert_element(nothing, value, ir.Constant(I32, 0))
    return b.shuffle_vector(first, nothing, ir.Constant(_INTEGERS, [0] * LANES))
