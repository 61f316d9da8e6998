"""Compiled functions kept as machine code, which a later process calls without loading their compiler.

::

    first       kernels' module ──Numba──> LLVM's language ──what the function does not use left out──> machine code
    from then   a file ──llvmlite──> an address

To import Numba and its types takes a second, and 125 MB; to read the file, a fiftieth of a second. Numba's own cache
keeps machine code too, but needs all of Numba to read it.

A file is a line of JSON, then the code. The line says which symbols of the process the code needs: none of Numba's, or
it would not be kept. Source of how a compiled function is called: Numba's documentation, "Notes on Numba's calling
convention": a status is returned, the result is written to an address.
"""

import ctypes
import hashlib
import json
import os
import re
import threading
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from llvmlite import binding

from textwright.core.caches import keeps_kernels, kernel_folder
from textwright.core.files import write_atomically
from textwright.core.kernel_build import KERNEL_BUILD

FAILED = -(2**63)
"""What a kept function returns where Numba would raise an exception; of ours only the build that checks bounds does."""
_NUMBAS = re.compile("NRT_|numba_|_?Py")
"""How symbols begin that only Numba's own runtime defines."""
_PACKAGE = Path(__file__).parents[1]
_LOCK = threading.RLock()


class KeptFunction:
    """A function that takes so many int64 and returns one, by its module and name; neither is imported before it must.

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
    def _callable(self) -> Any:
        with _LOCK:
            if KERNEL_BUILD.checks_bounds:
                return self._dispatcher
            code = read_code(self._path)
            if code is None:
                code = self._compile()
            if code is None:  # a processor or system on which it needs something of Numba's
                return self._dispatcher
            kinds = [ctypes.c_int64] * self.num_arguments
            return ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(load(code, self._symbol))

    @property
    def _symbol(self) -> str:
        return f"{self.module}.{self.name}"

    @property
    def _dispatcher(self) -> Any:
        return getattr(import_module(self.module), self.name)

    @cached_property
    def _path(self) -> Path:
        source = _PACKAGE.joinpath(*self.module.split(".")[1:]).with_suffix(".py")
        return kernel_folder(source) / f"{self.name}-{_processor_sha256()[:16]}.machine-code"

    def _compile(self) -> bytes | None:
        code, needs = compile_to_machine_code(self._dispatcher, self._symbol, self.num_arguments)
        if any(_NUMBAS.match(name) for name in needs):
            return None
        if keeps_kernels():
            told = {"needs": needs, "sha256": hashlib.sha256(code).hexdigest()}
            try:
                self._path.parent.mkdir(exist_ok=True)
                write_atomically(self._path, json.dumps(told).encode() + b"\n" + code)
            except OSError:  # the next process compiles it once more
                pass
        return code


def read_code(path: Path) -> bytes | None:
    """The machine code of a file; None where there is none, not whole, or where this process lacks what it needs."""
    try:
        line, _, code = path.read_bytes().partition(b"\n")
        told = json.loads(line)
        is_whole = hashlib.sha256(code).hexdigest() == told["sha256"]
        needs = list[str](told["needs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    _engine()
    return code if is_whole and all(map(binding.address_of_symbol, needs)) else None


def load(code: bytes, symbol: str) -> int:
    """Put machine code into this process, for as long as it lives; returns the address of a function."""
    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address: int = engine.get_function_address(symbol)
    return address


def compile_to_machine_code(dispatcher: Any, symbol: str, num_arguments: int) -> tuple[bytes, list[str]]:
    """A function of Numba's as machine code.

    Args:
        dispatcher: Numba's; it takes int64 and returns one.
        symbol: what the function in machine code is called.
        num_arguments: how many it takes.

    Returns:
        The code, with a function of C's calling convention; and the symbols that it needs of the process.
    """
    from numba import types

    signature = (types.int64,) * num_arguments
    dispatcher.compile(signature)
    compiled = dispatcher.overloads[signature]
    _engine()
    module = binding.parse_assembly(compiled.library.get_llvm_str())
    module.link_in(binding.parse_assembly(_in_c(compiled.fndesc.llvm_func_name, symbol, num_arguments)))
    for thing in (*module.functions, *module.global_variables):
        if not thing.is_declaration and thing.name != symbol:
            thing.linkage = "internal"
    machine = _target_machine()
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(0)))
    needs = sorted(one.name for one in module.functions if one.is_declaration and not one.name.startswith("llvm."))
    return machine.emit_object(module), needs


def _in_c(function: str, symbol: str, num_arguments: int) -> str:
    """A function of C's calling convention around one of Numba's, in LLVM's language.

    And what would free an array's memory: arrays of ours lie where an address says, and nothing of theirs is Numba's; a
    function that makes an array needs ``NRT_Allocate`` too, and is not kept.
    """
    kinds = ", ".join(["i64"] * num_arguments)
    arguments = ", ".join(f"i64 %{n}" for n in range(num_arguments))
    return f"""
        define void @NRT_MemInfo_call_dtor(ptr %0) {{
            unreachable
        }}
        declare i32 @"{function}"(ptr, ptr, {kinds})
        define i64 @"{symbol}"({arguments}) {{
            %result = alloca i64
            %exception = alloca ptr
            store i64 0, ptr %result
            %status = call i32 @"{function}"(ptr %result, ptr %exception, {arguments})
            %is_well = icmp eq i32 %status, 0
            %found = load i64, ptr %result
            %returned = select i1 %is_well, i64 %found, i64 {FAILED}
            ret i64 %returned
        }}"""


@cache
def _engine() -> Any:
    """What puts machine code into this process; it stays, and so does the code."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), _target_machine())


def _target_machine() -> Any:
    """The processor at hand, with Numba's choices for code that is compiled as it is needed."""
    target = binding.Target.from_default_triple()
    return target.create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=3,
        reloc="static" if target.name.startswith("x86") else "default",
        codemodel="jitdefault",
        jit=True,
    )


@cache
def _processor_sha256() -> str:
    """What code is compiled for: the processor, and what a user told Numba of it."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    told = [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten(), sorted(settings.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
