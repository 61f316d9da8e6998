"""Compiled functions on the threads that torch computes with: others would wait for a core that those spin on."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textwright.kernels.kept_function import KeptFunction


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
CAN_RUN = _PARALLEL is not None and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
"""Whether there are kernels for training: they run on threads of GNU's OpenMP, or of LLVM's under its calling
convention, and were measured to be the faster on processors with AVX2 and AVX-512. A constant, to torch.compile too."""


def suit(tensor: Tensor) -> bool:
    """Whether kernels for training suit what now computes in a tensor's type and on its device: float32 on a CPU."""
    kind = tensor.device.type
    return CAN_RUN and kind == "cpu" and tensor.dtype == torch.float32 and not torch.is_autocast_enabled(kind)


class TrainingKernel:
    """What does jobs of one kind: the function ``do_job`` of a module, which takes a job's address."""

    def __init__(self, module: str, job: "np.dtype[np.void]") -> None:
        self._do_job, self._job = KeptFunction(module, "do_job", 1), job

    @property
    def is_kept(self) -> bool:
        """Whether it was compiled before."""
        return self._do_job.is_kept

    def prepare(self) -> None:
        """Have it there: compiled, which takes seconds, or read from where it is kept."""
        self._do_job.prepare()

    def do(self, told: Mapping[str, int], num_threads: int) -> None:
        """Have a job done.

        Args:
            told: fields of the job; the others are 0.
            num_threads: one of them is the caller's.
        """
        job = np.array([told.get(name, 0) for name in self._job.names or ()], np.int64)
        if num_threads == 1 or _PARALLEL is None:
            self._do_job(job.ctypes.data)
        else:
            function, argument = ctypes.c_void_p(self._do_job.address), ctypes.c_void_p(job.ctypes.data)
            _PARALLEL(function, argument, ctypes.c_uint(num_threads), ctypes.c_uint(0))
