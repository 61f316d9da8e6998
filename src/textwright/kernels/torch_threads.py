"""Compiled functions on the threads that torch computes with: others would wait for a core that those spin on."""

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def _find_parallel() -> Any:
    """OpenMP's function that starts a parallel region, of the library that torch itself has loaded."""
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        path = Path(torch.__file__).parent / "lib" / name
        if path.exists():
            function = getattr(ctypes.CDLL(str(path)), "GOMP_parallel", None)
            if function is not None:
                function.restype = None
            return function
    return None


_PARALLEL = _find_parallel()
CAN_RUN = _PARALLEL is not None and torch.backends.cpu.get_cpu_capability() == "AVX512"
"""Whether there are kernels for training: they run on threads of GNU's OpenMP, or of LLVM's under its calling
convention, and were measured to be the faster on processors with AVX-512. A constant, to torch.compile too."""


def suit(tensor: Tensor) -> bool:
    """Whether kernels for training suit what now computes in a tensor's type and on its device: float32 on a CPU."""
    kind = tensor.device.type
    return CAN_RUN and kind == "cpu" and tensor.dtype == torch.float32 and not torch.is_autocast_enabled(kind)


def run(function: int, argument: int, num_threads: int) -> None:
    """Have as many threads call a compiled function, and wait for them.

    Args:
        function: its address; it takes an int64 and returns nothing.
        argument: the int64.
        num_threads: one of them is the caller's.
    """
    if num_threads == 1 or _PARALLEL is None:
        ctypes.CFUNCTYPE(None, ctypes.c_int64)(function)(argument)
    else:
        _PARALLEL(ctypes.c_void_p(function), ctypes.c_void_p(argument), ctypes.c_uint(num_threads), ctypes.c_uint(0))
