"""Attention by blocks is torch's attention."""

import pytest
import torch
import torch.nn.functional as F

from textwright.models.layers.causal import BLOCK, blocked_causal_attention


@pytest.mark.parametrize("time", [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 44])
def test_output_and_gradients_are_those_of_plain_causal_attention(time: int) -> None:
    torch.manual_seed(0)
    parts = [torch.randn(2, 3, time, 16, requires_grad=True) for _ in range(3)]
    of_out = torch.randn(2, 3, time, 16)
    found = blocked_causal_attention(*parts, 0.3)
    exact = [part.detach().double().requires_grad_() for part in parts]
    expected = F.scaled_dot_product_attention(*exact, is_causal=True, scale=0.3)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    pairs = zip(
        torch.autograd.grad(found, parts, of_out), torch.autograd.grad(expected, exact, of_out.double()), strict=True
    )
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=1e-4)


def test_in_bfloat16_it_is_as_exact_as_torchs() -> None:
    torch.manual_seed(0)
    exact = [torch.randn(2, 4, 300, 32, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    of_out = torch.randn(2, 4, 300, 32, dtype=torch.float64)
    parts = [part.detach().bfloat16().requires_grad_() for part in exact]

    def errors(found: torch.Tensor) -> list[float]:
        gradients = torch.autograd.grad(found, parts, of_out.bfloat16())
        return [float((g.double() - e).norm() / e.norm()) for g, e in zip(gradients, expected, strict=True)]

    out = F.scaled_dot_product_attention(*exact, is_causal=True, scale=0.2)
    expected = torch.autograd.grad(out, exact, of_out)
    ours = errors(blocked_causal_attention(*parts, 0.2))
    theirs = errors(F.scaled_dot_product_attention(*parts, is_causal=True, scale=0.2))
    assert all(a <= 1.5 * b for a, b in zip(ours, theirs, strict=True)), (ours, theirs)
