"""What Numba lacks: memory by its address, atomic words, and how a waiting thread makes way for others."""

import inspect
import platform
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import carray, from_dtype, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from textwright.core.caches import keep_kernels
from textwright.core.kernel_build import KERNEL_BUILD
from textwright.kernels import CACHE_LINE

Floats = npt.NDArray[np.float32]
F = TypeVar("F", bound=Callable[..., Any])
I8, I32, I64, FLOAT = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
FAST = {"nsz", "contract", "arcp", "reassoc"}
"""Sums may be reordered by the compiler, the same way every time; NaN and infinity keep their meaning."""
CHECKS_BOUNDS = KERNEL_BUILD.checks_bounds
"""Of this build; where it does not, nothing is left of the checks."""
PAGE = 4096
"""Bytes at the beginning of memory, where nothing ever is."""
MAXIMUM = "llvm.maxnum.f32"
PAUSES = {"x86_64": "llvm.x86.sse2.pause", "AMD64": "llvm.x86.sse2.pause"}


def jit(function: F) -> F:
    """Compiled at the first call, without the interpreter's lock, and kept on disk."""
    return _compiled(function)


def jit_entry(function: F) -> F:
    """The same, for what Python calls by ``machine_code``, which keeps it."""
    return _compiled(function, cache=keep_kernels() and CHECKS_BOUNDS)


def jit_into_its_caller(function: F) -> F:
    """The same, for what is called in one place: it becomes a part of that, instead of being compiled by itself, and
    with all that it calls once more for each function between the two."""
    return _compiled(function, inline="always")


def _compiled(function: F, **options: Any) -> F:
    # Under test every function is wrapped to check its types; Numba wants it bare.
    bare = inspect.unwrap(function)
    options = {"cache": keep_kernels()} | options
    options |= {"nogil": True, "error_model": "numpy", "boundscheck": CHECKS_BOUNDS, "no_cfunc_wrapper": True}
    compiled: F = njit(fastmath=FAST, **options)(bare)
    return compiled


def pointer_to(kind: Any) -> Any:
    """A compiled function that makes a pointer to such things of an address."""

    @intrinsic
    def pointer(_: Any, address: Any) -> Any:
        signature = types.CPointer(kind)(types.int64)

        def make(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return signature, make

    return pointer


def record_at(dtype: np.dtype[Any]) -> Any:
    """A compiled function that gives what is at an address as a record with such fields."""
    kind = from_dtype(dtype)

    @intrinsic
    def record(_: Any, address: Any) -> Any:
        def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(kind))  # a record is known by its address

        return kind(types.int64), make

    return record


_pointer_to_floats, _pointer_to_bytes, _pointer_to_ints = map(pointer_to, (types.float32, types.int8, types.int64))
_pointer_to_shorts, _pointer_to_ints32 = map(pointer_to, (types.int16, types.int32))


@jit
def check_index(index: int, size: int) -> None:
    """In the build that checks bounds, an IndexError where ``size`` things have no such one."""
    if CHECKS_BOUNDS and (index < 0 or index >= size):
        raise IndexError("a kernel was told an index that is out of bounds")


@jit
def check_address(address: int) -> None:
    """In the build that checks bounds, an IndexError where nothing can be."""
    if CHECKS_BOUNDS and address < PAGE:
        raise IndexError("a kernel was told an address where nothing is")


@jit
def floats(address: int, count: int) -> Floats:
    """``count`` float32 at an address, as an array."""
    check_address(address)
    return carray(_pointer_to_floats(address), (count,))


@jit
def row_of(base: int, n: int, width: int) -> Floats:
    """Row ``n`` of a float32 matrix that begins at ``base``."""
    return floats(base + 4 * n * width, width)


@jit
def matrix_of(base: int, rows: int, width: int) -> npt.NDArray[np.float32]:
    """A float32 matrix that begins at ``base``."""
    check_address(base)
    return carray(_pointer_to_floats(base), (rows, width))


@jit
def float_at(base: int, n: int) -> int:
    """The address of the ``n``-th float32 from ``base``."""
    return base + 4 * n


@jit
def line_at(base: int, n: int) -> int:
    """The address of the ``n``-th line of the cache from ``base``."""
    return base + CACHE_LINE * n


@jit
def small_ints(address: int, count: int) -> npt.NDArray[np.int8]:
    """``count`` int8 at an address, as an array."""
    check_address(address)
    return carray(_pointer_to_bytes(address), (count,))


@jit
def ints(address: int, count: int) -> npt.NDArray[np.int64]:
    """``count`` int64 at an address, as an array."""
    check_address(address)
    return carray(_pointer_to_ints(address), (count,))


@jit
def ints32(address: int, count: int) -> npt.NDArray[np.int32]:
    """``count`` int32 at an address, as an array."""
    check_address(address)
    return carray(_pointer_to_ints32(address), (count,))


@jit
def shorts(address: int, count: int) -> npt.NDArray[np.int16]:
    """``count`` int16 at an address, as an array: the bits of bfloat16."""
    check_address(address)
    return carray(_pointer_to_shorts(address), (count,))


@intrinsic
def greater(_: Any, one: Any, other: Any) -> Any:
    """The greater of two float32 that are numbers. In a loop a compiler looks at sixteen at once, which with Python's
    ``max`` it does not (Numba 0.68, LLVM 22), whatever ``fastmath`` says."""

    def make(_: Any, builder: ir.IRBuilder, __: Any, arguments: Any) -> Any:
        maximum = cgutils.get_or_insert_function(builder.module, ir.FunctionType(FLOAT, [FLOAT, FLOAT]), MAXIMUM)
        return builder.call(maximum, arguments, fastmath=("nnan", "nsz"))

    return types.float32(types.float32, types.float32), make


@intrinsic
def bits_of_float(_: Any, value: Any) -> Any:
    """The bits of a float32, as an int32."""

    def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], I32)

    return types.int32(types.float32), make


@intrinsic
def float_of_bits(_: Any, bits: Any) -> Any:
    """The float32 whose bits are those of an int32."""

    def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], FLOAT)

    return types.float32(types.int32), make


@intrinsic
def atomic_add(_: Any, address: Any, value: Any) -> Any:
    """Add to the int64 at an address; returns what was there."""

    def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(arguments[0], I64.as_pointer()), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), make


@intrinsic
def atomic_load(_: Any, address: Any) -> Any:
    """The int64 at an address, as other threads left it."""

    def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(arguments[0], I64.as_pointer()), "seq_cst", 8)

    return types.int64(types.int64), make


@intrinsic
def atomic_store(_: Any, address: Any, value: Any) -> Any:
    """Set the int64 at an address."""

    def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        builder.store_atomic(arguments[1], builder.inttoptr(arguments[0], I64.as_pointer()), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), make


@intrinsic
def pause(_: Any) -> Any:
    """Tell the processor that this thread only waits."""

    def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        name = PAUSES.get(platform.machine())
        if name is not None:
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), []), name), [])
        return context.get_dummy_value()

    return types.void(), make


@intrinsic
def sched_yield(_: Any) -> Any:
    """Let the system run another thread on this core (POSIX ``sched_yield``; nothing on Windows)."""

    def make(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
        if platform.system() != "Windows":
            function = ir.FunctionType(I32, [])
            builder.call(cgutils.get_or_insert_function(builder.module, function, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), make
