"""How long from the start of a process to the end of its first training step, with nothing cached and again after that.

    python benchmarks/first_step.py [--preset gpt2] [--batch-size 2] [--sequence-length 512] [--no-compile] [--again 3]

The first process finds an empty cache folder and empty temporary folder; the next ones find what it left there. The
clock starts before the interpreter does.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from textwright.core.device import processor_name

PROGRAM = """
import json, sys, time
begun_s = time.perf_counter()
import torch
from textwright.bench.job import Job
from textwright.bench.peers import textwright_eager, textwright_step
imported_s = time.perf_counter()
preset, rows, length, compiles = sys.argv[1:]
job = Job(preset, int(rows), int(length), "bfloat16")
step = (textwright_step if compiles == "yes" else textwright_eager).prepare(job)
prepared_s = time.perf_counter()
step()
stepped_s, at_s = time.perf_counter(), time.time()
step()
print(json.dumps({"at_s": at_s, "import_s": imported_s - begun_s, "prepare_s": prepared_s - imported_s,
    "first_step_s": stepped_s - prepared_s, "second_step_s": time.perf_counter() - stepped_s}), flush=True)
"""


def main() -> None:
    """Start the processes one after the other, and print what each took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", default="gpt2")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--sequence-length", type=int, default=512)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--again", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    job = [
        arguments.preset,
        str(arguments.batch_size),
        str(arguments.sequence_length),
        "yes" if arguments.compile else "no",
    ]
    with tempfile.TemporaryDirectory() as folder:
        tries = [start(job, folder) for _ in range(1 + arguments.again)]
    found = {"cold": tries[0], "warm": tries[1:], "job": job, "processor": processor_name()}
    if arguments.json:
        print(json.dumps(found))
        return
    for name, of_kind in (("nothing cached", tries[:1]), ("again", tries[1:])):
        parts = {part: statistics.median(one[part] for one in of_kind) for part in tries[0]}
        print(
            f"{name:15} {parts.pop('total_s'):5.1f} s:", ", ".join(f"{part[:-2]} {s:.1f}" for part, s in parts.items())
        )


def start(job: list[str], folder: str) -> dict[str, float]:
    """One process.

    Returns:
        Seconds of its parts, and ``total_s`` from its start to the end of its first step.
    """
    places = {"XDG_CACHE_HOME": folder, "TMPDIR": folder, "TEMP": folder, "TMP": folder}
    begun_s = time.time()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *job],
        env={name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"} | places,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"total_s": parts.pop("at_s") - begun_s, **parts}


if __name__ == "__main__":
    main()
