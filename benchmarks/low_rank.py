"""LoRA's gradients of A and B on a CPU in float32, beside the four products of torch: taking turns.

    python benchmarks/low_rank.py [--turns 20] [--shape TOKENS IN OUT RANK]... [--json]

Printed are medians, and the quartiles of the ratio.
"""

from typing import Any

import torch
from kernel_turns import in_turns, measure
from torch import Tensor

from textwright.models.layers.kernel_low_rank import low_rank_gradients

SHAPES = ((2048, 256, 1024, 8), (2048, 512, 512, 8), (2048, 512, 2048, 8), (1024, 768, 3072, 8))


def measured(tokens: int, ins: int, outs: int, rank: int, turns: int) -> dict[str, Any]:
    """Let both take turns, and see that they find the same."""
    torch.manual_seed(0)
    grad_out, x, a, b = (torch.randn(size) for size in ((tokens, outs), (tokens, ins), (rank, ins), (outs, rank)))

    def torchs() -> tuple[Tensor, Tensor]:
        return (grad_out @ b).T @ x, ((x @ a.T).T @ grad_out).T

    return in_turns(torchs, lambda: low_rank_gradients(grad_out, x, a, b), turns, rtol=1e-4, atol=1e-2)


if __name__ == "__main__":
    measure(__doc__, {"TOKENS IN OUT RANK": SHAPES}, measured)
