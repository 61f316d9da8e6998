#!/usr/bin/env bash
# numba 0.68.1 with scipy 1.17.1 and without, @njit(cache=True), seen on 2026-11-29 (Linux, x86-64, Python 3.11):
#
# A function that Numba has compiled and kept on disk is loaded again at the first call of the next process. Where SciPy
# is installed, that call imports scipy.linalg too, and with it numpy.f2py and pydoc, although neither the function nor
# the program has anything to do with linear algebra: a start is slower for a package that lies beside it unused.
# Without SciPy nothing of the kind is imported.
#
# Prints what was seen, and exits 1 where it is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 llvmlite==0.50.0 numpy==2.4.6
cd "$folder"
cat > kept.py <<'PYTHON'
import numba


@numba.njit(cache=True)
def twice(number):
    return 2 * number
PYTHON
cat > program.py <<'PYTHON'
import sys
import time

import kept

before, begun_s = set(sys.modules), time.perf_counter()
assert kept.twice(21) == 42
assert kept.twice.stats.cache_hits, "loaded, not compiled"
seconds, imported = time.perf_counter() - begun_s, set(sys.modules) - before
found = [name for name in ("scipy.linalg", "numpy.f2py", "pydoc") if name in imported]
print(f"{sys.argv[1]}: {len(imported)} modules at the first call, {seconds:.2f} s; among them {', '.join(found) or 'none'}")
sys.exit(bool(found) != (sys.argv[1] == "with scipy"))
PYTHON
venv/bin/python -c "import kept; kept.twice(21)"
for _ in 1 2; do without=$(venv/bin/python program.py "without scipy"); done
venv/bin/pip install --quiet scipy==1.17.1
for _ in 1 2; do with=$(venv/bin/python program.py "with scipy"); done
echo "$without"
echo "$with"
# Output:
# without scipy: 73 modules at the first call, 0.33 s; among them none
# with scipy: 207 modules at the first call, 0.58 s; among them scipy.linalg, numpy.f2py, pydoc
