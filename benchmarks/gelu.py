"""GELU as training computes it on a CPU in float32, beside torch's: forward and backward, taking turns.

    python benchmarks/gelu.py [--turns 20] [--shape TOKENS WIDTH]... [--json]

Printed are medians, and the quartiles of the ratio.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from kernel_turns import in_turns, parser_of, say
from torch import Tensor

from textwright.core.device import processor_name
from textwright.kernels.torch_threads import suit
from textwright.models.layers.kernel_gelu import gelu_tanh

SHAPES = ((256, 1024), (2048, 1024), (2048, 1792), (1024, 3072))


def main() -> None:
    """Time each shape, and print what both took."""
    parser = parser_of(__doc__, ("TOKENS", "WIDTH"))
    options = parser.parse_args()
    if not suit(torch.zeros(1)):
        parser.error(f"no kernel for {processor_name()}")
    for shape in options.shape or SHAPES:
        row = {"shape": list(shape), "processor": processor_name()} | measured(*shape, options.turns)
        say(f"{tuple(shape)}", row, options.json)


def measured(tokens: int, width: int, turns: int) -> dict[str, Any]:
    """Let both take turns, and see that they find the same."""
    torch.manual_seed(0)
    x, grad_out = torch.randn(tokens, width, requires_grad=True), torch.randn(tokens, width)

    def step(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.autograd.grad(function(x), x, grad_out)[0]

    return in_turns(lambda: step(lambda x: F.gelu(x, approximate="tanh")), lambda: step(gelu_tanh), turns, 1e-5)


if __name__ == "__main__":
    main()
