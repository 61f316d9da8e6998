"""Compiled functions that later processes call without loading their compiler.

::

    first       kernels' module ──Numba──> LLVM's language ──what the function does not use left out──> machine code
    from then   a file ──llvmlite──> an address

To import Numba and its types takes a second, and 90 MB; to read the file, a fiftieth of a second. Numba's own cache
keeps machine code too, but needs all of Numba to read it.
"""

import contextlib
import ctypes
import re
import threading
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from textwright.core.caches import keeps_kernels, kernel_folder
from textwright.core.kernel_build import KERNEL_BUILD

FAILED = -(2**63)
"""What comes back where Numba would raise an exception; of ours only the build that checks bounds does."""
_NUMBAS = re.compile("NRT_|numba_|_?Py")
"""How symbols begin that only Numba's own runtime defines: code that needs one is not kept."""
_PACKAGE = Path(__file__).parents[1]
_LOCK = threading.RLock()


class KeptFunction:
    """A function of int64 that returns one, by its module and name; neither is imported before it must.

    The build that checks bounds has it from Numba alone, exceptions and all.
    """

    def __init__(self, module: str, name: str, num_arguments: int) -> None:
        """
        Args:
            module: one of textwright's.
            name: of a function there, made by ``jit_entry``.
            num_arguments: all int64.
        """
        self.module, self.name, self.num_arguments = module, name, num_arguments

    def __call__(self, *arguments: int) -> int:
        """Call it, without the interpreter's lock.

        Raises:
            RuntimeError: it failed.
        """
        found: int = self._callable(*arguments)
        if found == FAILED:
            raise RuntimeError(f"the kernel {self.name} failed")
        return found

    @property
    def is_kept(self) -> bool:
        """Whether it is there in machine code."""
        return self._path.exists()

    def prepare(self) -> None:
        """Have it read, or compiled, now."""
        self._callable  # noqa: B018

    @cached_property
    def address(self) -> int:
        """Of a function of C's calling convention, for as long as the process lives."""
        with _LOCK:
            found: int = self._by_numba.address if self._code_address is None else self._code_address
        return found

    @cached_property
    def _callable(self) -> Any:
        with _LOCK:
            if self._code_address is None:
                return self._dispatcher
            return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * self.num_arguments)(self._code_address)

    @cached_property
    def _code_address(self) -> int | None:
        """Of machine code, kept or made now; None where there is none without Numba: in the build that checks bounds,
        and where the system or the processor has it need something of Numba's."""
        if KERNEL_BUILD.checks_bounds:
            return None
        from textwright.kernels import machine_code

        code, symbol = machine_code.read_code(self._path), f"{self.module}.{self.name}"
        if code is None:
            code, needs = machine_code.compile_to_machine_code(self._dispatcher, symbol, self.num_arguments)
            if any(map(_NUMBAS.match, needs)):
                return None
            if keeps_kernels():
                with contextlib.suppress(OSError):  # the next process compiles it once more
                    machine_code.write_code(self._path, code, needs)
        return machine_code.load(code, symbol)

    @cached_property
    def _by_numba(self) -> Any:
        from numba import cfunc, types

        return cfunc(types.int64(*[types.int64] * self.num_arguments))(self._dispatcher.py_func)

    @property
    def _dispatcher(self) -> Any:
        return getattr(import_module(self.module), self.name)

    @cached_property
    def _path(self) -> Path:
        from textwright.kernels import machine_code

        source = _PACKAGE.joinpath(*self.module.split(".")[1:]).with_suffix(".py")
        return kernel_folder(source) / f"{self.name}-{machine_code.processor_sha256()[:16]}.machine-code"
