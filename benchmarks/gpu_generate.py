"""Decoding on an NVIDIA GPU beside Hugging Face's generate: one stream and 256, greedy, in bfloat16; in one call.

    python benchmarks/gpu_generate.py [--preset gpt2] [--batches 1 256] [--turns 3] [--device cuda] [--json]

Random weights, the same for both; a prompt of 64 tokens and 128 new ones. Each takes turns; figures are medians.
Hugging Face decodes as it does by default, and with a static cache, which it compiles. A minute or two on an H100.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from textwright.bench.peers.generate.hugging_face import by_generate, load
from textwright.bench.peers.generate.ours_float32 import by_decoder
from textwright.bench.writing_job import Write, WritingJob
from textwright.checkpoint.model_folder import load_model
from textwright.core.device import processor_name
from textwright.engines.catalog import make_decoder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", default="gpt2")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 256])
    parser.add_argument("--prompt-tokens", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.exit(2, "torch sees no NVIDIA GPU: --device cpu tries the code without one\n")
    with TemporaryDirectory() as folder:
        batches = tuple(arguments.batches)
        job = WritingJob(arguments.preset, arguments.prompt_tokens, arguments.new_tokens, batches, 1, folder)
        job.write_weights()
        writers = {
            "ours": ours(job, arguments.device),
            "hugging_face": hugging_face(job, arguments.device),
            "hugging_face_static": hugging_face(job, arguments.device, cache_implementation="static"),
        }
    if arguments.device == "cpu":
        del writers["hugging_face_static"]  # it would compile for minutes, and says nothing about a GPU
    found = measure(job, writers, arguments.turns) | {
        "device": torch.cuda.get_device_name() if arguments.device == "cuda" else processor_name(),
        "torch": torch.__version__,
    }
    if arguments.json:
        print(json.dumps(found))
        return
    for name, rates in found["tokens_per_s"].items():
        print(f"{name:20} " + "   ".join(f"{batch} streams {rate:,.0f} tokens/s" for batch, rate in rates.items()))
    print(found["device"])


def measure(job: WritingJob, writers: dict[str, Write], turns: int) -> dict[str, Any]:
    """Tokens/s of each, for each number of streams."""
    seconds: dict[str, dict[int, list[float]]] = {name: {batch: [] for batch in job.batches} for name in writers}
    for turn in range(turns + 1):
        for name, write in writers.items():
            for batch in job.batches:
                begun_s = time.perf_counter()
                assert len(write(job.prompts(batch), job.new_tokens)[0]) == job.new_tokens
                if turn > 0:  # the first is for compiling and warming up
                    seconds[name][batch].append(time.perf_counter() - begun_s)
    rates = {
        name: {batch: batch * job.new_tokens / statistics.median(times) for batch, times in of.items()}
        for name, of in seconds.items()
    }
    ratios = {
        f"ours / {name} x{batch}": rates["ours"][batch] / rate
        for name, of in rates.items()
        if name != "ours"
        for batch, rate in of.items()
    }
    return {"tokens_per_s": rates, "ratios": ratios, "preset": job.preset, "new_tokens": job.new_tokens}


def ours(job: WritingJob, device: str) -> Write:
    """The torch engine: on a GPU, a step is a CUDA graph."""
    model = load_model(Path(job.folder), device=device).eval()
    return by_decoder(make_decoder(model, "torch", "bfloat16"))


def hugging_face(job: WritingJob, device: str, **settings: Any) -> Write:
    """GPT2LMHeadModel.generate in bfloat16."""
    return by_generate(load(job, torch.bfloat16).to(device), **settings)


if __name__ == "__main__":
    main()
