"""LoRA beside PEFT with Hugging Face's Trainer: tokens a second and memory, same model, pairs, rank and tokens a step.

    python benchmarks/finetuning_speed.py MODEL FOLDER [--data e2e] [--peers NAME...] [--turns 4] [--steps 3] [--json]

MODEL is a folder of a GPT-2. Every peer is a process of its own, and they take turns (``finetuning_peers.py``). Trainer
pads pairs to the longest of a batch, or of a batch of pairs that are about as long, or has rows that are packed like
ours; compiled or not. Tokens are those of pairs: padding is no token, for anybody. --json adds a line to
benchmarks/results/finetuning-speed.jsonl's kind of row on standard output.
"""

import argparse
import json
import os
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from finetuning_peers import PEERS
from finetuning_rows import DATA, pairs_of

from textwright.bench.turns import Worker, start_all, take_turns
from textwright.core.device import processor_name
from textwright.core.files import sha256_file

OURS = "textwright"


def main() -> None:
    """Let them take turns, and print what each did and ours over theirs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path, help="where pairs are kept")
    parser.add_argument("--data", choices=DATA, default="e2e")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="in a turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pairs = pairs_of(options.data, options.folder, options.model.parent)[0]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # the peers' file is no package's
    programs = {
        peer: ["finetuning_peers", peer, str(options.model), str(pairs), str(options.threads)]
        for peer in dict.fromkeys([OURS, *options.peers])
    }
    say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    with start_all(programs, options.threads, say) as workers:
        take_turns(workers, dict.fromkeys(workers, str(options.steps)), options.turns, say)
    rows = [row_of(worker, workers[OURS]) for worker in workers.values()]
    for row in rows:
        print(
            f"{row['peer']:30} {row['tokens_per_s']:7,.0f} tokens/s, {row['learned_per_s']:6,.0f} learned; "
            f"{row['peak_memory_bytes'] / 1e9:.2f} GB; ours {row['ours_over_it']:.2f} times",
            file=sys.stderr,
        )
    if options.json:
        found = {
            "model_sha256": sha256_file(options.model / "model.safetensors"),
            "processor": processor_name(),
            "threads": options.threads,
            "data": options.data,
            "versions": {name: version(name) for name in ("torch", "transformers", "peft", "accelerate")},
            "rows": rows,
        }
        print(json.dumps(found))


def row_of(worker: Worker, ours: Worker) -> dict[str, Any]:
    """A peer's medians over its turns, and ours over it, turn by turn."""
    rates = {name: [turn[name] / turn["seconds"] for turn in worker.answers] for name in ("predicted", "learned")}
    of_ours = [turn["learned"] / turn["seconds"] for turn in ours.answers]
    ratios = sorted(mine / its for mine, its in zip(of_ours, rates["learned"], strict=True))
    return {
        "peer": worker.peer,
        "tokens_per_s": round(statistics.median(rates["predicted"]), 1),
        "learned_per_s": round(statistics.median(rates["learned"]), 1),
        "tokens_a_step": round(statistics.mean(turn["predicted"] for turn in worker.answers)),
        "seconds_of_turns": [round(turn["seconds"], 3) for turn in worker.answers],
        "peak_memory_bytes": worker.answers[-1]["peak_memory_bytes"],
        "ours_over_it": round(statistics.median(ratios), 3),
        "least_and_most": [round(ratios[0], 3), round(ratios[-1], 3)],
    }


if __name__ == "__main__":
    main()
