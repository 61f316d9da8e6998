"""How long until a model of characters is as good as the classic recipe leaves it.

    python benchmarks/time_to_loss.py [--recipe classic ours] [--seeds 0 1 2] [--target 1.886] [--json]

Trains the 0.80 M model on tinyshakespeare, with `textwright train` as a user would. The clock runs from the start of
the process to the first validation at or under the target, read from the run's journal; the recipes take turns, seed by
seed, and validate every 200 steps and at their end. What is compared is ours to the target with the whole classic run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from public_text import tinyshakespeare

from textwright.core.device import processor_name
from textwright.core.journal import read_rows

RECIPES = {
    # nanoGPT's preset for a CPU: AdamW, float32, cosine from 1e-3 to a tenth.
    "classic": "--optimizer adamw --learning-rate 0.001 --adamw-beta2 0.99 --schedule cosine --min-lr-ratio 0.1 "
    "--warmup-steps 100 --steps 2000 --precision float32",
    "ours": "--steps 425 --muon-learning-rate 0.06 --muon-momentum 0.85 --learning-rate 0.02 --decay-fraction 1 "
    "--warmup-steps 5 --model.embedding-std 0.06",
}
COMMON = "--tokenizer char --model.preset nano --batch-size 12 --evaluate-every 200 --sample-every 1000"


def main() -> None:
    """Run the recipes in turns, and print the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--target", type=float, default=1.886)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    text = tinyshakespeare()

    rows = []
    for seed in arguments.seeds:
        for recipe in arguments.recipe:
            row = {"recipe": recipe, "seed": seed, **seconds_to(arguments.target, text, recipe, seed)}
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    reached = {
        recipe: [row["seconds"] for row in rows if row["recipe"] == recipe and row["seconds"] is not None]
        for recipe in arguments.recipe
    }
    whole = {
        recipe: statistics.median(row["whole_s"] for row in rows if row["recipe"] == recipe)
        for recipe in arguments.recipe
    }
    found: dict[str, Any] = {
        "target_nats": arguments.target,
        "rows": rows,
        "median_s_to_target": {recipe: statistics.median(s) if s else None for recipe, s in reached.items()},
        "median_whole_s": whole,
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    for recipe, seconds in reached.items():
        said = f"{statistics.median(seconds):6.1f} s to {arguments.target} nats" if seconds else "never there"
        print(f"{recipe:8} {said} ({len(seconds)} of {len(arguments.seeds)} seeds); {whole[recipe]:.1f} s in all")
    if len(whole) == 2 and reached["ours"]:
        print(f"ours takes {statistics.median(reached['ours']) / whole['classic']:.3f} of the whole classic run's time")


def seconds_to(target: float, text: Path, recipe: str, seed: int) -> dict[str, float | None]:
    """Train to the end of the recipe.

    Returns:
        ``seconds`` to the first validation at or under the target (None when there is none), its ``step`` and loss; and
        ``whole_s`` of the process, with its last loss.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        options = [*COMMON.split(), *RECIPES[recipe].split(), "--seed", str(seed), "--out", str(run)]
        begun_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "textwright", "train", "--data", str(text), *options], stderr=subprocess.DEVNULL
        )
        found: dict[str, float | None] = {"seconds": None, "step": None, "val_loss_nats": None}
        while process.poll() is None:
            time.sleep(0.1)
            if found["seconds"] is None and (reached := first_under(target, run)) is not None:
                found = {"seconds": time.perf_counter() - begun_s, **reached}
        whole_s = time.perf_counter() - begun_s
        if found["seconds"] is None and (reached := first_under(target, run)) is not None:
            found = {"seconds": whole_s, **reached}
        losses = [row["val_loss_nats"] for row in read_rows(run / "journal.jsonl") if row["kind"] == "val"]
        return found | {"whole_s": whole_s, "last_loss_nats": losses[-1], "best_loss_nats": min(losses)}


def first_under(target: float, run: Path) -> dict[str, float] | None:
    """The first validation in a run's journal that is at or under the target."""
    journal = run / "journal.jsonl"
    for row in read_rows(journal) if journal.exists() else ():
        if row["kind"] == "val" and row["val_loss_nats"] <= target:
            return {"step": row["step"], "val_loss_nats": row["val_loss_nats"]}
    return None


if __name__ == "__main__":
    main()
