"""The kernel of products of low rank finds torch's gradients, at any size, and the same bits every time."""

import pytest
import torch
from torch import Tensor

from textwright.kernels.torch_threads import suit
from textwright.kernels.training_jobs import LOW_RANK_BLOCK as BLOCK
from textwright.models.layers import kernel_low_rank
from textwright.models.layers.kernel_low_rank import LEAST, low_rank_gradients, suits
from textwright.models.layers.linear import Linear
from textwright.models.layers.low_rank import LoraLinear, LowRank

pytestmark = pytest.mark.skipif(not suit(torch.zeros(1)), reason="a processor without AVX-512, or torch without OpenMP")


def drawn(tokens: int, ins: int, outs: int, rank: int) -> list[Tensor]:
    """What comes back, what went in, A and B."""
    torch.manual_seed(0)
    return [torch.randn(shape) for shape in ((tokens, outs), (tokens, ins), (rank, ins), (outs, rank))]


def reference(grad_out: Tensor, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """By four products."""
    return (grad_out @ b).T @ x, grad_out.T @ (x @ a.T)


@pytest.mark.parametrize("rank", [1, 4, 7, 8])
@pytest.mark.parametrize("tokens", [1, 2, BLOCK - 1, BLOCK, 2 * BLOCK + 1, 211])
@pytest.mark.parametrize("widths", [(32, 96), (256, 64)], ids=str)
def test_the_gradients_are_those_of_the_formula(tokens: int, widths: tuple[int, int], rank: int) -> None:
    tensors = drawn(tokens, *widths, rank)
    found = low_rank_gradients(*tensors)
    for one, other in zip(found, reference(*(tensor.double() for tensor in tensors)), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6 * other.abs().max().item())


def test_tensors_may_lie_in_memory_in_any_way() -> None:
    grad_out, x, a, b = drawn(60, 64, 96, 8)
    expected = low_rank_gradients(grad_out, x, a, b)
    turned = (grad_out.T.contiguous().T, torch.cat([x, x], dim=1)[:, :64], a.T.contiguous().T, b.T.contiguous().T)
    for one, other in zip(low_rank_gradients(*turned), expected, strict=True):
        assert torch.equal(one, other)
    of_sum = low_rank_gradients(torch.ones(()).expand(60, 96), x, a, b)
    for one, other in zip(of_sum, low_rank_gradients(torch.ones(60, 96), x, a, b), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_bits_are_the_same_every_time(number: int) -> None:
    tensors, before = drawn(500, 64, 96, 8), torch.get_num_threads()
    torch.set_num_threads(number)
    found = [low_rank_gradients(*tensors) for _ in range(5)]
    torch.set_num_threads(before)
    assert all(torch.equal(one, two) for other in found[1:] for one, two in zip(found[0], other, strict=True))


def test_what_is_no_number_shows() -> None:
    grad_out, x, a, b = drawn(30, 32, 32, 8)
    x[7, 3] = float("nan")
    of_a, of_b = low_rank_gradients(grad_out, x, a, b)
    assert of_a[:, 3].isnan().all()
    assert not of_a[:, 4].isnan().any()
    assert of_b.isnan().all()


def layer_of(ins: int, outs: int, rank: int) -> LoraLinear:
    """A layer with one pair, of which B is more than zeros."""
    torch.manual_seed(1)
    plain = Linear(ins, outs)
    for parameter in plain.parameters():
        parameter.data = torch.randn(parameter.shape) / 10
        parameter.requires_grad_(False)
    layer = LoraLinear(plain, 0.0)
    pair = LowRank(ins, 0, outs, rank=rank, alpha=16.0, rank_stabilised=False)
    pair.lora_a.data, pair.lora_b.data = torch.randn(rank, ins) / 10, torch.randn(outs, rank) / 10
    layer.lora["all"] = pair
    return layer


def test_compiled_it_is_the_same() -> None:
    tensors = drawn(60, 64, 96, 5)
    compiled = torch.compile(low_rank_gradients, backend="aot_eager", fullgraph=True)
    for one, other in zip(compiled(*tensors), low_rank_gradients(*tensors), strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch.compile's own doing
@pytest.mark.parametrize("compiles", [False, True])
def test_a_layer_takes_it_and_learns_the_same(monkeypatch: pytest.MonkeyPatch, compiles: bool) -> None:
    layer, asked = layer_of(256, 768, 8), list[int]()
    x = torch.randn(LEAST // 1024, 256, requires_grad=True)

    def gradients(layer: torch.nn.Module) -> list[Tensor]:
        torch.manual_seed(2)
        out = layer(x)
        return list(torch.autograd.grad(out, [x, *(p for p in layer.parameters() if p.requires_grad)], out.sin()))

    with monkeypatch.context() as patch:
        patch.setattr(kernel_low_rank, "suits", lambda *_: False)
        expected = gradients(layer)
    if compiles:
        found = gradients(torch.compile(layer, backend="aot_eager", fullgraph=True))
    else:
        patched = kernel_low_rank.low_rank_gradients
        monkeypatch.setattr(kernel_low_rank, "low_rank_gradients", lambda *of: asked.append(len(of[0])) or patched(*of))
        found = gradients(layer)
        assert asked == [LEAST // 1024]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * other.abs().max().item())


def test_it_is_taken_where_it_is_the_faster() -> None:
    tokens = LEAST // 1024
    x, grad_out = torch.randn(tokens, 256), torch.randn(tokens, 768)
    assert suits(grad_out, x, 8)
    assert not suits(grad_out, x, 9)
    assert not suits(grad_out[:-1], x[:-1], 8)
    assert not suits(grad_out, torch.randn(tokens, 272), 8)
    assert not suits(torch.randn(tokens, 776), x, 8)
    assert not suits(grad_out.double(), x.double(), 8)
