"""A process with one peer in it, which does steps when it is told to.

    python -m textwright.bench.worker PEER PRESET ROWS TIME PRECISION DEVICE THREADS

Reads a number of steps a line, and answers with one JSON object a line. A process of its own, so that its memory is its
own and nothing of one peer is left in the caches of another's program.
"""

import importlib
import json
import sys
import time
import warnings

import torch

from textwright.bench.job import Job
from textwright.core.device import choose_precision
from textwright.training.memory import peak_bytes


def main() -> None:
    """Prepare, do one step, and then what is asked."""
    peer, preset, rows, length, precision, name, threads = sys.argv[1:8]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    begun_s = time.perf_counter()
    device = torch.device(name)
    job = Job(preset, int(rows), int(length), choose_precision(device, precision), name)
    step = importlib.import_module(f"textwright.bench.peers.{peer}").prepare(job)
    step()
    job.finish()
    _answer({"first_step_s": time.perf_counter() - begun_s})
    for line in sys.stdin:
        begun_s = time.perf_counter()
        for _ in range(int(line)):
            step()
        job.finish()
        step_s = (time.perf_counter() - begun_s) / int(line)
        _answer({"step_s": step_s, "peak_memory_bytes": peak_bytes(device)})


def _answer(values: dict[str, float]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
