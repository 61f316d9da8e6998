"""GELU as training computes it on a CPU in float32, beside torch's: forward and backward, taking turns.

    python benchmarks/gelu.py [--turns 20] [--shape TOKENS WIDTH]... [--json]

Printed are medians, and the quartiles of the ratio.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from kernel_turns import in_turns, measure
from torch import Tensor

from textwright.models.layers.kernel_gelu import gelu_tanh

SHAPES = ((256, 1024), (2048, 1024), (2048, 1792), (1024, 3072))


def measured(tokens: int, width: int, turns: int) -> dict[str, Any]:
    """Let both take turns, and see that they find the same."""
    torch.manual_seed(0)
    x, grad_out = torch.randn(tokens, width, requires_grad=True), torch.randn(tokens, width)

    def step(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.autograd.grad(function(x), x, grad_out)[0]

    return in_turns(
        lambda: step(lambda x: F.gelu(x, approximate="tanh")), lambda: step(gelu_tanh), turns, rtol=1e-5, atol=1e-5
    )


if __name__ == "__main__":
    measure(__doc__, {"TOKENS WIDTH": SHAPES}, measured)
