"""How long until a model of characters is as good as the classic recipe leaves it.

    python benchmarks/time_to_loss.py [--recipe classic ours] [--seeds 0 1 2] [--target 1.886] [--json]

Trains the 0.80 M model on tinyshakespeare, with `textwright train` as a user would. The clock runs from the start of
the process to the first validation at or under the target, read from the run's journal; the recipes take turns, seed by
seed, and validate every 200 steps and at their end.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textwright.core.device import processor_name
from textwright.core.journal import read_rows

RECIPES = {
    # nanoGPT's preset for a CPU: AdamW, float32, cosine from 1e-3 to a tenth.
    "classic": "--optimizer adamw --learning-rate 0.001 --schedule cosine --final-fraction 0.1 --warmup-steps 100 "
    "--steps 2000 --precision float32",
    "ours": "--steps 400 --muon-learning-rate 0.05 --muon-momentum 0.8 --learning-rate 0.02 --decay-fraction 1 "
    "--warmup-steps 5",
}
COMMON = "--tokenizer char --model.preset nano --rows 12 --evaluate-every 200 --sample-every 1000"


def main() -> None:
    """Run the recipes in turns, and print the seconds of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--target", type=float, default=1.886)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(os.environ.get("TEXTWRIGHT_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
    text = folder / "tinyshakespeare" / "input.txt"
    if not text.exists():
        parser.exit(2, f"{text} is not there: set TEXTWRIGHT_DATA to a folder that has tinyshakespeare/input.txt\n")

    rows = []
    for seed in arguments.seeds:
        for recipe in arguments.recipe:
            row = {"recipe": recipe, "seed": seed, **seconds_to(arguments.target, text, recipe, seed)}
            rows.append(row)
            print(json.dumps(row), file=sys.stderr)
    medians = {
        recipe: statistics.median(row["seconds"] for row in rows if row["recipe"] == recipe)
        for recipe in arguments.recipe
    }
    found = {"target_nats": arguments.target, "rows": rows, "median_s": medians, "processor": processor_name()}
    if arguments.json:
        print(json.dumps(found))
        return
    for recipe, median in medians.items():
        print(f"{recipe:8} {median:6.1f} s to {arguments.target} nats")
    if len(medians) == 2:
        print(f"ours takes {medians['ours'] / medians['classic']:.2f} of the classic recipe's time")


def seconds_to(target: float, text: Path, recipe: str, seed: int) -> dict[str, float]:
    """Train until the validation loss is at most the target; infinitely long when it never is."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        options = [*COMMON.split(), *RECIPES[recipe].split(), "--seed", str(seed), "--out", str(run)]
        begun_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "textwright", "train", "--data", str(text), *options], stderr=subprocess.DEVNULL
        )
        found = {"seconds": float("inf"), "step": 0, "val_loss_nats": float("nan")}
        while True:
            ended = process.poll() is not None
            took_s = time.perf_counter() - begun_s
            rows = list(read_rows(run / "journal.jsonl")) if (run / "journal.jsonl").exists() else []
            losses = [(row["val_loss_nats"], row["step"]) for row in rows if row["kind"] == "val"]
            if losses:
                found |= {"val_loss_nats": losses[-1][0], "step": losses[-1][1]}
            if losses and losses[-1][0] <= target:
                found["seconds"] = took_s
            if ended or found["seconds"] < float("inf"):
                process.kill()
                process.wait()
                return found
            time.sleep(0.1)


if __name__ == "__main__":
    main()
