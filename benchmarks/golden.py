"""Whether two builds of Textwright train the same bits: for changes that are only to move code.

    python benchmarks/golden.py OLD/src NEW/src [--json]

Each build trains, as whole programs and on one machine: nano in float32 with AdamW; and tiny in bfloat16 with Muon,
dropout and accumulation, half of it, then resumed. Compared are every loss and gradient norm of the journals, and the
weights of the finished models. The exit code is 1 where a bit differs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

WORDS = (
    "the",
    "a",
    "of",
    "and",
    "to",
    "old",
    "new",
    "small",
    "long",
    "river",
    "house",
    "tree",
    "stone",
    "bird",
    "sea",
    "sun",
)
KINDS = ("train", "val")
COMMON = ("--tokenizer", "byte", "--threads", "1", "--no-compile", "--max-eval-tokens", "512", "--seed", "1")
RUNS: dict[str, list[list[str]]] = {
    "nano, float32, AdamW": [
        [
            *("--model.preset", "nano", "--precision", "float32", "--optimizer", "adamw"),
            *("--steps", "40", "--batch-size", "8"),
        ]
    ],
    "tiny, bfloat16, Muon, dropout, accumulated, resumed": [
        [
            *("--model.preset", "tiny", "--model.dropout", "0.1", "--precision", "bfloat16", "--optimizer", "muon"),
            *("--steps", "6", "--batch-size", "4", "--micro-batch-size", "2", "--sequence-length", "64"),
        ],
        ["--steps", "12"],
    ],
}


def main() -> None:
    """Train with both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("builds", nargs=2, type=Path, metavar="SRC", help="the folder that holds textwright/")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    differences: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        text.write_text(some_text(), encoding="utf-8")
        for name, commands in RUNS.items():
            old, new = (trained(build, text, commands, Path(folder)) for build in arguments.builds)
            differences[name] = compare(old, new)
            said = (
                "; ".join(differences[name][:3]) or f"{len(old['rows'])} rows and the model are the same, bit for bit"
            )
            print(f"{name}: {said}", file=sys.stderr, flush=True)
    if arguments.json:
        print(json.dumps({"differences": differences}))
    raise SystemExit(int(any(differences.values())))


def trained(build: Path, text: Path, commands: Sequence[Sequence[str]], folder: Path) -> dict[str, Any]:
    """Rows of the journal and the hash of the weights of a run that one build begins, and goes on with."""
    out = Path(tempfile.mkdtemp(dir=folder)) / "run"
    first, *further = commands
    call(build, ["--data", str(text), *COMMON, *first, "--out", str(out)])
    for more in further:
        call(build, ["--resume", str(out), *more])
    rows = [json.loads(line) for line in (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    figures = ("loss_nats", "grad_norm", "val_loss_nats", "learning_rate")
    return {
        "rows": [
            [row["kind"], row["step"], *(row.get(key) for key in figures)] for row in rows if row["kind"] in KINDS
        ],
        "weights": hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest(),
    }


def call(build: Path, arguments: Sequence[str]) -> None:
    """One command of a build."""
    environment = os.environ | {"PYTHONPATH": str(build.resolve())}
    command = [sys.executable, "-m", "textwright", "train", *arguments, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{build} failed:\n{done.stderr}")


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs, a line each."""
    found = [f"{one} -> {other}" for one, other in zip(old["rows"], new["rows"], strict=False) if one != other]
    if len(old["rows"]) != len(new["rows"]):
        found.append(f"{len(old['rows'])} rows -> {len(new['rows'])}")
    if old["weights"] != new["weights"]:
        found.append("the weights differ")
    return found


def some_text() -> str:
    """Documents of words whose order a small generator of its own gives: the same everywhere."""
    state, words = 1, []
    for number in range(12_000):
        state = (1103515245 * state + 12345) % 2**31
        words.append(WORDS[(state >> 16) % len(WORDS)] + ("\n\n" if number % 60 == 59 else " "))
    return "".join(words)


if __name__ == "__main__":
    main()
