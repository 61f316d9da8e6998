"""Whether every combination of compile, precision, optimizer and family learns what the plain one learns.

    python benchmarks/grid.py [--families nano ...] [--steps 6] [--json]

Plain is uncompiled float32. Compared are the losses of all steps, from the same weights and batches; the exit code is 1
where one is further off than rounding explains. `make test` has a case or two of each; this is all of them.
"""

import argparse
import json
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import torch

from textwright.api import RunConfig
from textwright.api.runs import train
from textwright.core.caches import keep_compiled_code
from textwright.core.journal import read_rows

FAMILIES = ("nano", "gpt1-nano", "qwen3-nano")
OPTIMIZERS = ("adamw", "muon")
TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2}
"""How far, as a part of itself, a loss may be off the plain one's."""
TEXT = " ".join(f"the number {n} is {'odd' if n % 2 else 'even'}, and {n * n} is its square;" for n in range(400))
COMMON: dict[str, Any] = {"batch_size": 4, "micro_batch_size": 2, "threads": 1, "seed": 1}


def main() -> None:
    """Train with all of them, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    keep_compiled_code()
    rows = [
        row for family, optimizer in product(options.families, OPTIMIZERS) for row in cells(family, optimizer, options)
    ]
    if options.json:
        print(json.dumps(rows))
    sys.exit(0 if all(row["holds"] for row in rows) else 1)


def cells(family: str, optimizer: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each precision, compiled and not; the plain one first."""
    rows: list[dict[str, Any]] = []
    plain: list[float] = []
    for precision, compiled in product(TOLERANCES, (False, True)):
        begun_s = time.perf_counter()
        found = losses(family, optimizer, precision, compiled, options.steps)
        plain = plain or found
        off = max(abs(loss / expected - 1) for loss, expected in zip(found, plain, strict=True))
        rows.append(
            {
                "family": family,
                "optimizer": optimizer,
                "precision": precision,
                "compiled": compiled,
                "last_loss_nats": found[-1],
                "off": off,
                "holds": off <= TOLERANCES[precision],
                "elapsed_s": time.perf_counter() - begun_s,
            }
        )
        if not options.json:
            show(rows[-1])
    return rows


def losses(family: str, optimizer: str, precision: str, compiled: bool, steps: int) -> list[float]:
    """The losses of all steps; nothing that was compiled for another combination is left."""
    torch.compiler.reset()
    training = COMMON | {"optimizer": optimizer, "precision": precision, "compile": compiled, "steps": steps}
    training |= dict.fromkeys(("evaluate_every", "sample_every", "checkpoint_every"), steps)
    with tempfile.TemporaryDirectory() as name:
        text, run = Path(name) / "text.txt", Path(name) / "run"
        text.write_text(TEXT)
        model = {"preset": family, "context_length": 32}
        values = {"data": [text], "tokenizer": "byte", "model": model, "training": training}
        train(RunConfig.model_validate(values), run, device="cpu", quiet=True)
        return [row["loss_nats"] for row in read_rows(run / "journal.jsonl") if row["kind"] == "train"]


def show(row: dict[str, Any]) -> None:
    """One line of the table."""
    print(
        f"{row['family']:<11} {row['optimizer']:<6} {row['precision']:<9} {'compiled' if row['compiled'] else '':<9}"
        f"loss {row['last_loss_nats']:.4f}  off {row['off']:.1e}  {row['elapsed_s']:5.1f} s"
        f"  {'holds' if row['holds'] else 'DOES NOT HOLD'}",
        flush=True,
    )


if __name__ == "__main__":
    main()
