#!/usr/bin/env bash
# torch 2.13.0, `python -c 'import torch'`, seen on 2026-11-29 (Linux, x86-64, Python 3.11.7, two cores of an AMD EPYC):
#
# A quarter of the process's time is Python's garbage collector, which finds next to nothing (7,000 objects): while torch
# is imported it looks through all that is there again and again as it grows, and once more when the interpreter ends.
# With the collector off, and the objects frozen (gc.freeze) before the end, it took 1.82 s for 2.43.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$folder"
cat > program.py <<'PYTHON'
import statistics
import subprocess
import sys
import time

PLAIN = "import torch"
FROZEN = "import atexit, gc; gc.disable(); atexit.register(gc.freeze); import torch"
COUNTED = "import gc, sys; import torch; print(len(sys.modules), sum(one['collected'] for one in gc.get_stats()))"


def seconds(program):
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - begun


seconds(PLAIN), seconds(FROZEN)  # files are read, and modules compiled
turns = [(seconds(PLAIN), seconds(FROZEN)) for _ in range(9)]
plain, frozen = (statistics.median(some) for some in zip(*turns))
ratio = statistics.median(frozen / plain for plain, frozen in turns)
told = subprocess.run([sys.executable, "-c", COUNTED], check=True, capture_output=True, text=True).stdout.split()
print(f"import torch {plain:.2f} s; without looking for garbage {frozen:.2f} s, {ratio:.2f} of it")
print(f"{told[0]} modules; {told[1]} objects were garbage")
sys.exit(0 if ratio < 0.92 else 1)
PYTHON
"$folder/venv/bin/python" program.py
