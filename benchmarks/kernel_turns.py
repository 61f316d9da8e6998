"""What the benchmarks of single kernels have in common: torch's function and ours, taking turns."""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from textwright.core.allocator import keep_freed_memory


def parser_of(document: str | None, shapes: tuple[str, ...]) -> argparse.ArgumentParser:
    """The options of all of them.

    Args:
        document: of the module.
        shapes: what the numbers of a shape are called.
    """
    parser = argparse.ArgumentParser(description=(document or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--shape", nargs=len(shapes), type=int, action="append", metavar=shapes)
    parser.add_argument("--json", action="store_true")
    keep_freed_memory()
    return parser


def in_turns(torchs: Callable[[], Any], ours: Callable[[], Any], turns: int, tolerance: float) -> dict[str, Any]:
    """Medians of milliseconds, and of torch's over ours with its quartiles; both find the same."""
    functions = {"torch": torchs, "ours": ours}
    torch.testing.assert_close(ours(), torchs(), rtol=tolerance, atol=tolerance)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            begun_s = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - begun_s)
    ratios = [theirs / mine for theirs, mine in zip(seconds["torch"], seconds["ours"], strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    medians = {f"{name}_ms": round(1000 * statistics.median(found), 3) for name, found in seconds.items()}
    return medians | {"ratio": round(ratio, 3), "quartiles": [round(low, 3), round(high, 3)]}


def say(name: str, row: dict[str, Any], as_json: bool) -> None:
    """One line of what was found."""
    low, high = row["quartiles"]
    said = f"{row['torch_ms']:.2f} ms and ours {row['ours_ms']:.2f}, {row['ratio']:.2f} times"
    print(json.dumps(row) if as_json else f"{name}: torch {said} ({low:.2f} to {high:.2f})", flush=True)
