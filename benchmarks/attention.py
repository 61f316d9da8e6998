"""Attention as training computes it on a CPU in float32, beside torch's: forward and backward, taking turns.

    python benchmarks/attention.py [--turns 20] [--width 64] [--shape ROWS HEADS TIME]... [--json]

Each shape is timed twice: plainly causal, and with rows of packed documents of 35 to 90 tokens, for which torch is
given a mask. Both read queries, keys and values where a layer's product leaves them. Printed are medians, and the
quartiles of the ratio.
"""

import random
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from kernel_turns import in_turns, parser_of, say
from torch import Tensor

from textwright.core.device import processor_name
from textwright.models.layers.kernel_attention import causal_attention, suits

SHAPES = ((32, 4, 64), (8, 4, 256), (4, 4, 512), (2, 12, 1024))
DOCUMENT_TOKENS = 35, 90


def main() -> None:
    """Time each shape, and print what both took."""
    parser = parser_of(__doc__, ("ROWS", "HEADS", "TIME"))
    parser.add_argument("--width", type=int, default=64, help="of a head")
    options = parser.parse_args()
    if not suits(torch.zeros(1), options.width):
        parser.error(f"no kernels for {processor_name()} and heads of {options.width}")
    for shape in options.shape or SHAPES:
        for packed in (False, True):
            row = {"shape": list(shape), "width": options.width, "packed": packed, "processor": processor_name()}
            row |= measured(*shape, options.width, options.turns, packed=packed)
            say(f"{tuple(shape)} {'packed' if packed else 'plain'}", row, options.json)


def measured(rows: int, heads: int, length: int, width: int, turns: int, *, packed: bool) -> dict[str, Any]:
    """Let both take turns, and see that they find the same."""
    torch.manual_seed(0)
    starts = starts_of(rows, length) if packed else torch.zeros(rows, length, dtype=torch.int32)
    places = torch.arange(length)
    mask = ((places <= places[:, None]) & (places >= starts[:, :, None]))[:, None] if packed else None
    product = torch.randn(rows, length, 3 * heads * width, requires_grad=True)
    grad_out = torch.randn(rows, heads, length, width)

    def of_torch(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None, scale=0.125)

    def ours(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return causal_attention(query, key, value, starts, 0.125)

    def step(function: Callable[..., Tensor]) -> Tensor:
        parts = (part.unflatten(-1, (heads, width)).transpose(1, 2) for part in product.split(heads * width, -1))
        return torch.autograd.grad(function(*parts), product, grad_out)[0]

    return in_turns(lambda: step(of_torch), lambda: step(ours), turns, rtol=1e-3, atol=1e-4)


def starts_of(rows: int, length: int) -> Tensor:
    """Where the document of each token begins, in rows that are full of them."""
    chance, starts = random.Random(0), torch.zeros(rows, length, dtype=torch.int32)
    for row in starts:
        place = 0
        while place < length:
            row[place:] = place
            place += chance.randint(*DOCUMENT_TOKENS)
    return starts


if __name__ == "__main__":
    main()
