"""The kernel of GELU does what torch's does, at any size, and nothing beyond its tensors."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.kernels.torch_threads import suit
from textwright.kernels.training_gelu import PIECE
from textwright.models.layers import kernel_gelu
from textwright.models.layers.kernel_gelu import LEAST, gelu_tanh
from textwright.models.layers.mlp import ACTIVATIONS

pytestmark = pytest.mark.skipif(not suit(torch.zeros(1)), reason="a processor without AVX-512, or torch without OpenMP")


def reference(x: Tensor) -> Tensor:
    """torch's own."""
    return F.gelu(x, approximate="tanh")


def with_gradient(function: Callable[[Tensor], Tensor], x: Tensor, grad_out: Tensor) -> list[Tensor]:
    """What comes out, and the gradient of what went in."""
    leaf = x.detach().requires_grad_()
    out = function(leaf)
    return [out.detach(), *torch.autograd.grad(out, leaf, grad_out)]


@pytest.mark.parametrize("shape", [(1,), (3, 5, 17), (PIECE,), (2, PIECE + 1), (0, 4)], ids=str)
def test_values_and_gradients_are_those_of_the_formula(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, grad_out = 4 * torch.randn(shape), torch.randn(shape)
    expected = with_gradient(reference, x.double(), grad_out.double())
    for one, other in zip(with_gradient(gelu_tanh, x, grad_out), expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=2e-6, atol=2e-6)


def test_it_is_as_exact_as_torchs_own() -> None:
    x = torch.linspace(-15, 15, 100_001)
    ones = torch.ones_like(x)
    exact = with_gradient(reference, x.double(), ones.double())
    for one, torchs, true in zip(
        with_gradient(gelu_tanh, x, ones), with_gradient(reference, x, ones), exact, strict=True
    ):
        assert (one - true).abs().max() <= 2 * (torchs - true).abs().max()


def test_what_is_huge_is_no_trouble_and_what_is_no_number_shows() -> None:
    x = torch.tensor([1e4, -1e4, 1e12, -1e12, 1e18, -1e18, float("inf"), float("nan")])
    out, gradient = with_gradient(gelu_tanh, x, torch.ones(8))
    assert torch.equal(out[[0, 2, 4, 6]], x[[0, 2, 4, 6]])
    assert out[[1, 3]].abs().max() < 1e-20
    torch.testing.assert_close(gradient[:7], torch.tensor([1.0, 0, 1, 0, 1, 0, 1]))
    assert out[7].isnan()
    assert gradient[7].isnan()


def test_tensors_may_lie_in_memory_in_any_way() -> None:
    torch.manual_seed(1)
    x, grad_out = torch.randn(50, 70), torch.randn(50, 70)
    expected = with_gradient(gelu_tanh, x, grad_out)
    for found in (
        with_gradient(gelu_tanh, x.T.contiguous().T, grad_out),
        with_gradient(gelu_tanh, x, grad_out.T.contiguous().T),
        with_gradient(gelu_tanh, torch.cat([x, x], dim=1)[:, :70], grad_out),
    ):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    spread = with_gradient(gelu_tanh, x, torch.ones(()).expand(50, 70))
    same = with_gradient(gelu_tanh, x, torch.ones(50, 70))
    assert all(torch.equal(one, other) for one, other in zip(spread, same, strict=True))


def test_the_bits_do_not_depend_on_threads() -> None:
    torch.manual_seed(2)
    x, grad_out = torch.randn(9 * PIECE + 5), torch.randn(9 * PIECE + 5)
    before, found = torch.get_num_threads(), []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(with_gradient(gelu_tanh, x, grad_out))
    torch.set_num_threads(before)
    assert all(torch.equal(one, two) for other in found[1:] for one, two in zip(found[0], other, strict=True))


def test_compiled_it_is_the_same() -> None:
    torch.manual_seed(3)
    x, grad_out = torch.randn(40, 30), torch.randn(40, 30)
    compiled = torch.compile(gelu_tanh, backend="aot_eager", fullgraph=True)
    for one, other in zip(with_gradient(compiled, x, grad_out), with_gradient(gelu_tanh, x, grad_out), strict=True):
        assert torch.equal(one, other)


def test_a_layer_takes_it_where_it_is_the_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    monkeypatch.setattr(kernel_gelu, "gelu_tanh", lambda x: asked.append(x.numel()) or gelu_tanh(x))
    activation = ACTIVATIONS["gelu_tanh"]
    x = torch.randn(LEAST)
    torch.testing.assert_close(activation(x), reference(x), rtol=1e-6, atol=1e-6)
    activation(x[:-1])
    activation(x.double())
    activation(x.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        activation(x)
    assert asked == [LEAST]
