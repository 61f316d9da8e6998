"""Whether runs take what ``textwright plan`` said they would: seconds, memory and disk of four of them.

    python benchmarks/plans.py [--run nano tiny qwen3-tiny small] [--json]

Each run is foreseen by one process and done by another, on tinyshakespeare, as a user would do it. Seconds are from the
first step to the end, evaluations, samples and checkpoints included; memory is the most that the process held.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from public_text import tinyshakespeare

from textwright.core.device import processor_name
from textwright.core.journal import read_rows

RUNS = {
    "nano": "--tokenizer char --model.preset nano --steps 400",
    "tiny": "--tokenizer bpe:1024 --model.preset tiny --steps 60",
    "qwen3-tiny": "--tokenizer bpe:1024 --model.preset qwen3-tiny --steps 40 --optimizer adamw "
    "--batch-size 16 --micro-batch-size 4",
    "small": "--tokenizer bpe:1024 --model.preset small --steps 15 --batch-size 6",
}


def main() -> None:
    """Foresee and do each run, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    text = tinyshakespeare()
    rows = []
    for name in arguments.run:
        foreseen, taken = both(["--data", str(text), *RUNS[name].split()])
        rows.append({"run": name, "foreseen": foreseen, "taken": taken})
        if not arguments.json:
            print(
                f"{name:12}",
                *(f"{what} {ratio(foreseen, taken, what):.2f} of {taken[what]:,.1f}" for what in taken),
                sep="  ",
                flush=True,
            )
    if arguments.json:
        print(json.dumps({"rows": rows, "processor": processor_name()}))


def both(options: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """What a run was said to take, and what it took."""
    plan = textwright("plan", *options)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        done = textwright("train", *options, "--out", str(run))
        rows = list(read_rows(run / "journal.jsonl"))
        begun_s = next(row["elapsed_s"] for row in rows if row["kind"] == "event" and row["event"] == "started")
        held = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    foreseen = {
        "seconds": plan["seconds"],
        "memory_mb": plan["memory_bytes"] / 1e6,
        "disk_mb": plan["disk_bytes"] / 1e6,
    }
    taken = {
        "seconds": rows[-1]["elapsed_s"] - begun_s,
        "memory_mb": done["peak_memory_bytes"] / 1e6,
        "disk_mb": held / 1e6,
    }
    return foreseen, taken


def ratio(foreseen: dict[str, float], taken: dict[str, float], what: str) -> float:
    """Foreseen over taken."""
    return foreseen[what] / taken[what]


def textwright(*arguments: str) -> dict[str, Any]:
    """A command in a process of its own; its JSON object."""
    done = subprocess.run(
        [sys.executable, "-m", "textwright", *arguments, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
