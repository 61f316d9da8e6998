"""Compiled functions as machine code in files.

A file is a line of JSON, then the code. The line says what the code needs of the process, and what its hash is. How a
function of Numba's is called: a status is returned, the result is written to an address. Source: its documentation,
"Notes on Numba's calling convention" (0.68).
"""

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llvmlite import binding

from textwright.core.files import write_atomically
from textwright.kernels.kept_function import FAILED


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


def write_code(path: Path, code: bytes, needs: Sequence[str]) -> None:
    """The way back. Raises OSError where it cannot be written."""
    told = {"needs": needs, "sha256": hashlib.sha256(code).hexdigest()}
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, json.dumps(told).encode() + b"\n" + code)


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
def processor_sha256() -> str:
    """What code is compiled for: the processor, and what a user told Numba of it."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    told = [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten(), sorted(settings.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
