#!/usr/bin/env bash
# torch 2.13.0 (CPU build), torch.library.custom_op, seen on 2026-11-29 (Linux, x86-64, Python 3.11):
#
# An operator that is defined in Python is of no use to a program that compiles nothing, and costs it nothing while it
# is defined. Its first call imports torch._dynamo all the same, torch's compiler, and with that hundreds of modules,
# SymPy among them: one to three seconds, where the function itself takes some microseconds. The same function and its
# gradient as a torch.autograd.Function import nothing.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys
import time

import torch
from torch import Tensor


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad_out):
        return 2 * grad_out


@torch.library.custom_op("example::doubled", mutates_args=())
def doubled(x: Tensor) -> Tensor:
    return 2 * x


doubled.register_autograd(lambda ctx, grad_out: 2 * grad_out)
print(f"torch {torch.__version__}")
imported = {}
for name, function in (("autograd.Function", Doubled.apply), ("custom_op", doubled)):
    before, begun_s = set(sys.modules), time.perf_counter()
    function(torch.ones(3, requires_grad=True)).sum().backward()
    seconds, imported[name] = time.perf_counter() - begun_s, set(sys.modules) - before
    print(f"{name}: modules imported by the first call: {len(imported[name])}", f"({seconds:.3f} s)", sep="  ")
    print(f"    torch._dynamo among them: {'torch._dynamo' in imported[name]}; sympy: {'sympy' in imported[name]}")
quiet, loud = imported.values()
sys.exit(not ("torch._dynamo" not in quiet and {"torch._dynamo", "sympy"} <= loud))
PYTHON
# Output:
# torch 2.13.0+cpu
# autograd.Function: modules imported by the first call: 0  (0.002 s)
#     torch._dynamo among them: False; sympy: False
# custom_op: modules imported by the first call: 823  (2.695 s)
#     torch._dynamo among them: True; sympy: True
