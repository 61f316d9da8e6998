"""Training on an NVIDIA GPU: every GPT-2 size beside Hugging Face's best settings, and the time to a loss; in one call.

    python benchmarks/gpu_train.py [--sizes gpt2 gpt2-medium gpt2-large gpt2-xl] [--device cuda] [--json]

For each size: tokens/s of our step and of GPT2LMHeadModel in bfloat16 with SDPA, torch.compile and fused AdamW, taking
turns; the share of the GPU's own matrix rate, measured in the same minutes; and the share of its data sheet's rate,
known as model FLOP utilisation. Then the time to a loss, as in time_to_loss.py. Under eight minutes on an H100.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from textwright.bench.job import VOCABULARY, Job
from textwright.bench.train import bench_train, step_flops
from textwright.models.presets import preset

ROWS = {"gpt2": 32, "gpt2-medium": 16, "gpt2-large": 8, "gpt2-xl": 4}
"""Rows of 1,024 tokens that fill a GPU of 80 GB beside the peer's."""
SHEET_FLOPS_PER_S = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 rates from NVIDIA's data sheets (SXM)."""
PEERS = ("textwright_step", "hugging_face_best")


def main() -> None:
    """Measure what there is time for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", nargs="+", default=list(ROWS))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--sequence-length", type=int, default=1024, help="tokens in a row")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5, help="steps in a turn")
    parser.add_argument("--budget-s", type=float, default=480.0, help="no new measurement is begun after this")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.exit(2, "torch sees no NVIDIA GPU: --device cpu tries the code without one\n")

    begun_s, sizes = time.perf_counter(), []
    for name in arguments.sizes:
        if time.perf_counter() - begun_s > arguments.budget_s:
            break
        job = Job(name, ROWS.get(name, 1), arguments.sequence_length, "bfloat16", arguments.device)
        sizes.append(measure(job, arguments.turns, arguments.steps))
        print(json.dumps(sizes[-1]), file=sys.stderr)
    left_s = arguments.budget_s - (time.perf_counter() - begun_s)
    found = {"sizes": sizes, "time_to_loss": time_to_loss(left_s)}
    if arguments.json:
        print(json.dumps(found))
        return
    for size in sizes:
        print(f"{size['preset']:12} " + "   ".join(f"{name} {value:,.2f}" for name, value in size["figures"].items()))
    print(f"time to loss: {found['time_to_loss']}")


def measure(job: Job, turns: int, steps: int) -> dict[str, Any]:
    """One size, ours and theirs."""
    found = bench_train(job, turns=turns, steps=steps, threads=torch.get_num_threads(), peers=PEERS)
    ours, theirs = found["rows"]
    size = preset(job.preset, vocab_size=VOCABULARY, context_length=max(1024, job.sequence_length))
    achieved = step_flops(size, job) * ours["tokens_per_s"] / job.tokens
    sheet = next((rate for name, rate in SHEET_FLOPS_PER_S.items() if name in found["machine"]["processor"]), None)
    figures = {
        "tokens/s": ours["tokens_per_s"],
        "over Hugging Face": ours["tokens_per_s"] / theirs["tokens_per_s"],
        "of the matrix rate": ours["share_of_matrix_rate"],
    }
    if sheet is not None:
        figures["model FLOP utilisation"] = achieved / sheet
    return {"preset": job.preset, "figures": figures, **found}


def time_to_loss(left_s: float) -> dict[str, Any] | None:
    """Both recipes, one seed; None where the time or the text is missing."""
    if left_s < 60:
        return None
    command = [sys.executable, str(Path(__file__).parent / "time_to_loss.py"), "--seeds", "0", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=left_s)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        return None
    result: dict[str, Any] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    main()
