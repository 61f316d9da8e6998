"""Training beside other programs: how much of its quiet speed is left, and whether minutes are kept.

    python benchmarks/busy.py speed [--seconds 30] [--turns 3] [--json]
    python benchmarks/busy.py minutes [--minutes 3] [--runs 5] [--json]

``speed`` trains nano on tinyshakespeare beside no, one and two programs that keep a core busy each; they take turns.
``minutes`` runs the demo beside none and one, and says how long its training took and how many steps it did. Whole
programs are run, as a user would; figures come from the journals they leave.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from public_text import tinyshakespeare

from textwright.core.device import processor_name
from textwright.core.journal import read_rows

LOOP = "while True: pass"


def main() -> None:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("speed", "minutes"))
    parser.add_argument("--seconds", type=float, default=30, help="of training, for speed")
    parser.add_argument("--turns", type=int, default=3, help="of each, for speed")
    parser.add_argument("--minutes", type=float, default=3, help="of training, for minutes")
    parser.add_argument("--runs", type=int, default=5, help="of each, for minutes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "speed":
        found = speed(arguments.seconds, arguments.turns)
    else:
        found = minutes(arguments.minutes, arguments.runs)
    found["processor"] = processor_name()
    if arguments.json:
        print(json.dumps(found))


def speed(seconds: float, turns: int) -> dict[str, Any]:
    """Tokens a second of nano beside no, one and two busy programs."""
    rates: dict[int, list[float]] = {0: [], 1: [], 2: []}
    options = ["--data", str(tinyshakespeare()), "--tokenizer", "char", "--model.preset", "nano"]
    for _ in range(turns):
        for num_loops, taken in rates.items():
            with busy(num_loops), run("train", *options, "--minutes", str(seconds / 60)) as rows:
                trained = [row for row in rows if row["kind"] == "train"]
            taken.append((trained[-1]["tokens"] - trained[0]["tokens"]) / (rows[-1]["elapsed_s"] - begun(rows)))
    quiet = statistics.median(rates[0])
    for num_loops, taken in rates.items():
        median, each = statistics.median(taken), ", ".join(f"{rate:,.0f}" for rate in taken)
        say(f"{num_loops} busy programs: {median:,.0f} tokens/s, {median / quiet:.2f} of quiet ({each})")
    return {"tokens_per_s": {str(num_loops): taken for num_loops, taken in rates.items()}}


def minutes(asked: float, runs: int) -> dict[str, Any]:
    """What the demo's training took of its minutes, and its steps, beside no and one busy program."""
    found: dict[int, list[dict[str, float]]] = {0: [], 1: []}
    for _ in range(runs):
        for num_loops, taken in found.items():
            with busy(num_loops), run("demo", "--minutes", str(asked)) as rows:
                steps = max(row["step"] for row in rows if row["kind"] == "train")
                best = min(row["val_bits_per_byte"] for row in rows if row["kind"] == "val")
            taken.append({"minutes": rows[-1]["elapsed_s"] / 60, "steps": steps, "val_bits_per_byte": best})
            say(f"{num_loops} busy programs: {json.dumps(taken[-1])}")
    quiet_steps = statistics.median(row["steps"] for row in found[0])
    for num_loops, taken in found.items():
        off = sorted(abs(row["minutes"] / asked - 1) for row in taken)
        steps = statistics.median(row["steps"] for row in taken)
        clock = f"off by {statistics.median(off):.1%}, at worst {off[-1]:.1%}"
        say(f"{num_loops} busy programs: {clock}; {steps:,.0f} steps, {steps / quiet_steps:.2f} of quiet")
    return {"asked": asked, "runs": {str(num_loops): taken for num_loops, taken in found.items()}}


@contextlib.contextmanager
def busy(num_loops: int) -> Iterator[None]:
    """So many programs that want a core each."""
    loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(num_loops)]
    try:
        time.sleep(0.5)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextlib.contextmanager
def run(*arguments: str) -> Iterator[list[dict[str, Any]]]:
    """Run a command that leaves a run; the rows of its journal."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "textwright", *arguments, "--out", str(out), "--json"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        yield list(read_rows(out / "journal.jsonl"))


def begun(rows: list[dict[str, Any]]) -> float:
    """When the first step began."""
    return next(float(row["elapsed_s"]) for row in rows if row.get("event") == "started")


def say(line: str) -> None:
    """A line for people, at once."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
