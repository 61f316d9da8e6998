"""Compiled functions on the threads that torch computes with: others would wait for a core that those spin on."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import torch


def can_run() -> bool:
    """Whether torch's threads are there to be used: GNU's or LLVM's OpenMP under its calling convention."""
    return _parallel() is not None


def run(function: int, argument: int, num_threads: int) -> None:
    """Have as many threads call a compiled function, and wait for them.

    Args:
        function: its address; it takes an int64 and returns nothing.
        argument: the int64.
        num_threads: one of them is the caller's.
    """
    parallel = _parallel()
    if num_threads == 1 or parallel is None:
        ctypes.CFUNCTYPE(None, ctypes.c_int64)(function)(argument)
    else:
        parallel(ctypes.c_void_p(function), ctypes.c_void_p(argument), ctypes.c_uint(num_threads), ctypes.c_uint(0))


@cache
def _parallel() -> Any:
    """OpenMP's function that starts a parallel region, of the library that torch itself has loaded."""
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        path = Path(torch.__file__).parent / "lib" / name
        if path.exists():
            function = getattr(ctypes.CDLL(str(path)), "GOMP_parallel", None)
            if function is not None:
                function.restype = None
            return function
    return None
