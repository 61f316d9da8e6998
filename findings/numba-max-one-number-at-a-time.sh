#!/usr/bin/env bash
# numba 0.68.1 with llvmlite 0.50.0 (LLVM 22), @njit(fastmath=True), seen on 2026-11-29 (Linux, x86-64, Python 3.11):
#
# fastmath=True is known to let loops that add floats up be made vectors of. A loop that looks for the largest float32,
# by max(top, x) or by an if, is not: it stays one number at a time. In what inspect_llvm() shows, fastmath's flags are
# on the comparison and not on the select after it. The same loop with LLVM's maxnum, called by an intrinsic with the
# flags nnan and nsz, is many times as fast.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 llvmlite==0.50.0 numpy==2.4.6
cd "$folder"
cat > program.py <<'PYTHON'
import sys
import time

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def greater(typing_context, one, other):
    def make(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()] * 2)
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.maxnum.f32")
        return builder.call(function, arguments, fastmath=("nnan", "nsz"))

    return types.float32(types.float32, types.float32), make


@numba.njit(fastmath=True)
def summed(numbers):
    total = np.float32(0)
    for i in range(len(numbers)):
        total += numbers[i]
    return total


@numba.njit(fastmath=True)
def by_max(numbers):
    top = numbers[0]
    for i in range(len(numbers)):
        top = max(top, numbers[i])
    return top


@numba.njit(fastmath=True)
def by_if(numbers):
    top = numbers[0]
    for i in range(len(numbers)):
        if numbers[i] > top:
            top = numbers[i]
    return top


@numba.njit(fastmath=True)
def by_maxnum(numbers):
    top = numbers[0]
    for i in range(len(numbers)):
        top = greater(top, numbers[i])
    return top


numbers = np.random.default_rng(0).standard_normal(8192).astype(np.float32)
assert by_max(numbers) == by_if(numbers) == by_maxnum(numbers) == numbers.max()
summed(numbers)
took = {}
for function in (summed, by_max, by_if, by_maxnum):
    turns = []
    for _ in range(2000):
        begun = time.perf_counter_ns()
        function(numbers)
        turns.append(time.perf_counter_ns() - begun)
    took[function.__name__] = min(turns) / len(numbers)
    print(f"{function.__name__}: {took[function.__name__]:.2f} ns a number")
sys.exit(not min(took["by_max"], took["by_if"]) > 3 * max(took["summed"], took["by_maxnum"]))
PYTHON
venv/bin/python program.py
# Output:
# summed: 0.12 ns a number
# by_max: 1.35 ns a number
# by_if: 1.35 ns a number
# by_maxnum: 0.15 ns a number
