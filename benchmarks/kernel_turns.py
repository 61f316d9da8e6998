"""What the benchmarks of single kernels have in common: torch's function and ours, taking turns."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from textwright.core.allocator import keep_freed_memory
from textwright.core.device import processor_name
from textwright.kernels.torch_threads import suit


def parser_of(document: str | None, names: Sequence[str]) -> argparse.ArgumentParser:
    """The options of all of them.

    Args:
        document: of the module.
        names: what the numbers of a shape are called.
    """
    parser = argparse.ArgumentParser(description=(document or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--shape", nargs=len(names), type=int, action="append", metavar=tuple(names))
    parser.add_argument("--json", action="store_true")
    return parser


def measure(
    document: str | None, shapes: dict[str, Sequence[Sequence[int]]], measured: Callable[..., dict[str, Any]]
) -> None:
    """Time each shape, and print what both took.

    Args:
        document: of the module.
        shapes: what their numbers are called, joined by spaces, and those that are timed when none is asked for.
        measured: takes the numbers and the turns.
    """
    ((names, known),) = shapes.items()
    parser = parser_of(document, names.split())
    options = parser.parse_args()
    if not suit(torch.zeros(1)):
        parser.error(f"no kernel for {processor_name()}")
    for shape in options.shape or known:
        row = {"shape": list(shape), "processor": processor_name()} | measured(*shape, options.turns)
        say(f"{tuple(shape)}", row, options.json)


def in_turns(
    torchs: Callable[[], Any], ours: Callable[[], Any], turns: int, *, rtol: float, atol: float
) -> dict[str, Any]:
    """Medians of milliseconds, and of torch's over ours with its quartiles; both find the same."""
    keep_freed_memory()
    functions = {"torch": torchs, "ours": ours}
    torch.testing.assert_close(ours(), torchs(), rtol=rtol, atol=atol)
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
