"""GELU as training computes it on a CPU in float32, beside torch's: forward and backward, taking turns.

    python benchmarks/gelu.py [--turns 20] [--shape TOKENS WIDTH]... [--json]

Printed are medians, and the quartiles of the ratio.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.core.allocator import keep_freed_memory
from textwright.core.device import processor_name
from textwright.kernels.torch_threads import suit
from textwright.models.layers.kernel_gelu import gelu_tanh

SHAPES = ((256, 1024), (2048, 1024), (2048, 1792), (1024, 3072))


def main() -> None:
    """Time each shape, and print what both took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--shape", nargs=2, type=int, action="append", metavar=("TOKENS", "WIDTH"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not suit(torch.zeros(1)):
        parser.error(f"no kernel for {processor_name()}")
    keep_freed_memory()
    for shape in options.shape or SHAPES:
        row = {"shape": list(shape), "processor": processor_name()} | measured(*shape, options.turns)
        low, high = row["quartiles"]
        said = f"{row['torch_ms']:.2f} ms and ours {row['ours_ms']:.2f}, {row['ratio']:.2f} times"
        print(json.dumps(row) if options.json else f"{shape}: torch {said} ({low:.2f} to {high:.2f})", flush=True)


def measured(tokens: int, width: int, turns: int) -> dict[str, Any]:
    """Let both take turns, and see that they find the same."""
    torch.manual_seed(0)
    x, grad_out = torch.randn(tokens, width, requires_grad=True), torch.randn(tokens, width)

    def step(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.autograd.grad(function(x), x, grad_out)[0]

    functions = {"torch": lambda x: F.gelu(x, approximate="tanh"), "ours": gelu_tanh}
    torch.testing.assert_close(step(functions["ours"]), step(functions["torch"]), rtol=1e-5, atol=1e-5)
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(turns):
        for name, function in functions.items():
            begun_s = time.perf_counter()
            step(function)
            seconds[name].append(time.perf_counter() - begun_s)
    ratios = [theirs / mine for theirs, mine in zip(seconds["torch"], seconds["ours"], strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4)
    medians = {f"{name}_ms": round(1000 * statistics.median(found), 3) for name, found in seconds.items()}
    return medians | {"ratio": round(ratio, 3), "quartiles": [round(low, 3), round(high, 3)]}


if __name__ == "__main__":
    main()
