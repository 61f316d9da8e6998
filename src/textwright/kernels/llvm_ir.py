"""Words of LLVM's language that the micro-kernels are written with."""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from textwright.kernels import LANES as LANES
from textwright.kernels.numba_intrinsics import FLOAT, I8, I32, I64

FLOATS, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(I32, LANES)
SHORTS = ir.VectorType(ir.IntType(16), LANES)


class _BFloat(ir.types.Type):
    """LLVM's ``bfloat``, which llvmlite has no word for."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


BFLOATS = ir.VectorType(_BFloat(), 2 * LANES)


def takes_addresses(emit: Callable[..., None]) -> Callable[..., None]:
    """Make a function that emits code, given a builder and values, one that Numba can call: int64s in, nothing out."""

    @intrinsic
    def function(_: Any, *addresses: Any) -> Any:
        def emit_all(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
            emit(builder, *cgutils.unpack_tuple(builder, arguments[0]))
            return context.get_dummy_value()

        return types.void(types.StarArgUniTuple(types.int64, len(addresses))), emit_all

    made: Callable[..., None] = function
    return made


def i64(value: int) -> ir.Constant:
    """An int64."""
    return ir.Constant(I64, value)


def zeros(kind: Any) -> ir.Constant:
    """A vector of floats that are zero."""
    return ir.Constant(kind, [0.0] * kind.count)


def load(b: ir.IRBuilder, address: Any, kind: Any, align: int = 4) -> Any:
    """What is at an address."""
    return b.load(b.inttoptr(address, kind.as_pointer()), align=align)


class _VolatileLoad(ir.instructions.LoadInstr):
    """LLVM's ``load volatile``, which llvmlite has no word for."""

    def descr(self, buf: list[str]) -> None:
        super().descr(buf)
        buf[-1] = buf[-1].replace("load ", "load volatile ", 1)


def load_volatile(b: ir.IRBuilder, address: Any, kind: Any, align: int = 4) -> Any:
    """What is at an address, read neither before what is read so before it nor after what is read so after it.

    The compiler would mix them as registers go, and the processor no longer foresee what comes next from memory.
    """
    found = _VolatileLoad(b.block, b.inttoptr(address, kind.as_pointer()))
    found.align = align
    b._insert(found)
    return found


def store(b: ir.IRBuilder, value: Any, address: Any, align: int = 4) -> None:
    """Put it at an address."""
    b.store(value, b.inttoptr(address, value.type.as_pointer()), align=align)


def prefetch(b: ir.IRBuilder, address: Any, locality: int = 3) -> None:
    """Have a line brought from memory, into the cache next to the core (3) or the one behind it (2); an address beyond
    it does no harm."""
    kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer(), I32, I32, I32])
    function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
    b.call(function, [b.inttoptr(address, I8.as_pointer()), *(ir.Constant(I32, value) for value in (0, locality, 1))])


def fma(b: ir.IRBuilder, total: Any, left: Any, right: Any) -> Any:
    """total + left x right, rounded once."""
    return b.fadd(b.fmul(left, right, flags=("contract",)), total, flags=("contract",))


def broadcast(b: ir.IRBuilder, value: Any) -> Any:
    """A vector of one float or int."""
    kind = ir.VectorType(value.type, LANES)
    nothing = ir.Constant(kind, ir.Undefined)
    first = b.insert_element(nothing, value, ir.Constant(I32, 0))
    return b.shuffle_vector(first, nothing, ir.Constant(INTS, [0] * LANES))


def low_as_floats(b: ir.IRBuilder, pairs: Any) -> Any:
    """Of pairs of bfloat16, the first of each."""
    return b.bitcast(b.shl(pairs, ir.Constant(INTS, [16] * LANES)), FLOATS)


def high_as_floats(b: ir.IRBuilder, pairs: Any) -> Any:
    """Of pairs of bfloat16, the second of each."""
    return b.bitcast(b.and_(pairs, ir.Constant(INTS, [0xFFFF0000] * LANES)), FLOATS)


def call(b: ir.IRBuilder, name: str, result: Any, *arguments: Any) -> Any:
    """One of LLVM's own functions."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def horizontal_sums(b: ir.IRBuilder, vectors: Sequence[Any]) -> Any:
    """The sums of sixteen vectors' lanes, in one vector; always added in the same order.

    ::

        a0 a1 a2 a3    b0 b1 b2 b3   ->   a0 b0 a2 b2 + a1 b1 a3 b3   ->   half as many vectors, with sums of two
    """
    left, step = list(vectors), 1
    while len(left) > 1:
        first = [lane if lane & step == 0 else lane - step + LANES for lane in range(LANES)]
        second = [lane + step if lane & step == 0 else lane + LANES for lane in range(LANES)]
        left = [
            b.fadd(
                b.shuffle_vector(one, other, ir.Constant(INTS, first)),
                b.shuffle_vector(one, other, ir.Constant(INTS, second)),
            )
            for one, other in zip(left[::2], left[1::2], strict=True)
        ]
        step *= 2
    return left[0]
