"""LoRA's gradients of A and B on a CPU in float32, beside the four products of torch: taking turns.

    python benchmarks/low_rank.py [--turns 20] [--shape TOKENS IN OUT RANK]... [--json]

Printed are medians, and the quartiles of the ratio.
"""

from typing import Any

import torch
from kernel_turns import in_turns, parser_of, say
from torch import Tensor

from textwright.core.device import processor_name
from textwright.kernels.torch_threads import suit
from textwright.models.layers.kernel_low_rank import low_rank_gradients

SHAPES = ((2048, 256, 1024, 8), (2048, 512, 512, 8), (2048, 512, 2048, 8), (1024, 768, 3072, 8))


def main() -> None:
    """Time each shape, and print what both took."""
    parser = parser_of(__doc__, ("TOKENS", "IN", "OUT", "RANK"))
    options = parser.parse_args()
    if not suit(torch.zeros(1)):
        parser.error(f"no kernel for {processor_name()}")
    for shape in options.shape or SHAPES:
        row = {"shape": list(shape), "processor": processor_name()} | measured(*shape, options.turns)
        say(f"{tuple(shape)}", row, options.json)


def measured(tokens: int, ins: int, outs: int, rank: int, turns: int) -> dict[str, Any]:
    """Let both take turns, and see that they find the same."""
    torch.manual_seed(0)
    grad_out, x, a, b = (torch.randn(size) for size in ((tokens, outs), (tokens, ins), (rank, ins), (outs, rank)))

    def torchs() -> tuple[Tensor, Tensor]:
        return (grad_out @ b).T @ x, ((x @ a.T).T @ grad_out).T

    return in_turns(torchs, lambda: low_rank_gradients(grad_out, x, a, b), turns, 1e-2)


if __name__ == "__main__":
    main()
