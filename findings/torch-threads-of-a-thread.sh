#!/usr/bin/env bash
# torch 2.13.0 (CPU build), torch.set_num_threads and torch.get_num_threads, seen on 2026-11-27 (Linux, x86-64, Python
# 3.11):
#
# torch keeps a number of threads for each Python thread, and one that a thread begins with; set_num_threads sets both.
# A thread takes over the common one at its first get_num_threads (or first parallel work), not at its set_num_threads:
# a number that it set before that question is forgotten where another thread has set one meanwhile. With the question
# asked first, it is kept.
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
import threading

import torch


def seen(asks_first):
    """The number of a thread that set 1, after another thread set 3."""
    has_set, may_ask, found = threading.Event(), threading.Event(), []

    def work():
        if asks_first:
            torch.get_num_threads()
        torch.set_num_threads(1)
        has_set.set()
        may_ask.wait()
        found.append(torch.get_num_threads())

    one = threading.Thread(target=work)
    one.start()
    has_set.wait()
    other = threading.Thread(target=torch.set_num_threads, args=(3,))
    other.start()
    other.join()
    may_ask.set()
    one.join()
    return found[0]


plain, asked = seen(asks_first=False), seen(asks_first=True)
print(f"torch {torch.__version__}")
print(f"a thread set 1, another 3; the first then has {plain}; had it asked before it set: {asked}")
sys.exit(not (plain == 3 and asked == 1))
PYTHON
# Output:
# torch 2.13.0+cpu
# a thread set 1, another 3; the first then has 3; had it asked before it set: 1
