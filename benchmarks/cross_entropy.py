"""Cross-entropy with its gradient by our kernel beside torch's, in turns, from logits in float32.

    python benchmarks/cross_entropy.py [--turns 20] [--shape POSITIONS VOCABULARY] [--json]

Printed are medians, and the quartiles of the ratio. Both write the gradient in the logits' place as far as they can.
"""

from typing import Any
from unittest import mock

import torch
from kernel_turns import in_turns, measure

from textwright.models.layers import cross_entropy, kernel_cross_entropy

SHAPES = ((256, 8192), (2048, 8192), (1024, 50257))


def measured(positions: int, vocabulary: int, turns: int) -> dict[str, Any]:
    """Let both take turns, and see that they find the same."""
    torch.manual_seed(0)
    logits, targets = 3 * torch.randn(positions, vocabulary), torch.randint(vocabulary, (positions,))
    weights, taken = torch.ones(positions), [torch.empty_like(logits) for _ in range(2)]

    def step(has_kernel: bool) -> Any:
        with mock.patch.object(kernel_cross_entropy, "suits", return_value=has_kernel):
            return cross_entropy.loss_and_grad(taken[has_kernel].copy_(logits), targets, weights)

    return in_turns(lambda: step(False), lambda: step(True), turns, rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    measure(__doc__, {"POSITIONS VOCABULARY": SHAPES}, measured)
