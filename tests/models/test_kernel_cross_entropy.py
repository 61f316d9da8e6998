"""The kernel of cross-entropy finds torch's loss and gradient, at any size, and says where there is no number."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.kernels.torch_threads import suit
from textwright.models.layers import cross_entropy, kernel_cross_entropy
from textwright.models.layers.kernel_cross_entropy import LEAST, loss_and_grad

pytestmark = pytest.mark.skipif(not suit(torch.zeros(1)), reason="a processor without AVX-512, or torch without OpenMP")


def drawn(positions: int, vocabulary: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, targets and weights."""
    torch.manual_seed(0)
    logits, targets = 4 * torch.randn(positions, vocabulary), torch.randint(vocabulary, (positions,))
    return logits, targets, torch.rand(positions)


def reference(logits: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """By torch, in float64."""
    leaf = logits.double().requires_grad_()
    loss = F.cross_entropy(leaf, targets, reduction="none") @ weights.double()
    return loss.detach(), torch.autograd.grad(loss, leaf)[0]


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (1, 16), (3, 17), (0, 8), (4, 255), (9, 8192), (2, 50257)], ids=str)
def test_loss_and_gradient_are_those_of_the_formula(shape: tuple[int, int]) -> None:
    logits, targets, weights = drawn(*shape)
    expected = reference(logits, targets, weights)
    found = loss_and_grad(logits, targets, weights)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-6)


def test_the_largest_logit_may_be_any_and_far_above() -> None:
    for place in range(40):
        logits, targets, weights = torch.zeros(1, 40), torch.tensor([7]), torch.ones(1)
        logits[0, place] = 1000.0
        expected = reference(logits, targets, weights)
        for one, other in zip(loss_and_grad(logits, targets, weights), expected, strict=True):
            torch.testing.assert_close(one.double(), other)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", [0, 7, 33])
def test_what_is_no_number_shows(wrong: float, place: int) -> None:
    logits, targets, weights = drawn(2, 34)
    logits[0, place] = wrong
    loss, gradient = loss_and_grad(logits, targets, weights)
    assert loss.isnan()
    assert gradient[0].isnan().all()
    assert gradient[1].isfinite().all()


def test_a_token_that_cannot_be_has_no_gradient() -> None:
    logits, targets, weights = drawn(2, 34)
    logits[0, (int(targets[0]) + 1) % 34] = -float("inf")
    logits[1, (int(targets[1]) + 1) % 34] = -200.0
    expected = reference(logits, targets, weights)
    loss, gradient = loss_and_grad(logits, targets, weights)
    torch.testing.assert_close(loss.double(), expected[0])
    assert [float(gradient[row, (int(targets[row]) + 1) % 34]) for row in range(2)] == [0.0, 0.0]


@pytest.mark.parametrize("target", [-1, 34])
def test_a_target_that_there_is_not_is_refused(target: int) -> None:
    logits, targets, weights = drawn(2, 34)
    targets[1] = target
    with pytest.raises(IndexError, match="not among the 34 tokens"):
        loss_and_grad(logits, targets, weights)


def test_tensors_may_lie_in_memory_in_any_way() -> None:
    logits, targets, _ = drawn(20, 70)
    turned = logits.T.contiguous().T, torch.stack([targets, targets], dim=1)[:, 0], torch.ones(()).expand(20)
    expected = loss_and_grad(logits, targets, torch.ones(20))
    for one, other in zip(loss_and_grad(*turned), expected, strict=True):
        assert torch.equal(one, other)


def test_the_bits_do_not_depend_on_threads() -> None:
    before, found = torch.get_num_threads(), []
    for number in (1, 2, 3):
        torch.set_num_threads(number)
        found.append(loss_and_grad(*drawn(50, 300)))
    torch.set_num_threads(before)
    assert all(torch.equal(one, two) for other in found[1:] for one, two in zip(found[0], other, strict=True))


def test_a_loss_takes_it_where_it_is_the_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()
    ours = kernel_cross_entropy.loss_and_grad
    monkeypatch.setattr(kernel_cross_entropy, "loss_and_grad", lambda *of: asked.append(of[0].numel()) or ours(*of))
    for positions, kind in ((256, torch.float32), (255, torch.float32), (256, torch.float64), (256, torch.bfloat16)):
        logits, targets, weights = drawn(positions, LEAST // 256)
        expected = reference(logits.to(kind), targets, weights)
        _, gradient = cross_entropy.loss_and_grad(
            logits.to(kind), targets, weights.to(torch.promote_types(kind, torch.float32))
        )
        torch.testing.assert_close(gradient.double(), expected[1], rtol=1e-2, atol=1e-2)
    assert asked == [LEAST]
