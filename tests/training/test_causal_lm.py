import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.layers import cross_entropy
from textwright.models.layers.cross_entropy import cross_entropy_sum
from textwright.training.losses.catalog import OBJECTIVES, read_objective
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss, Objective


def _case(positions: int = 40, width: int = 8, vocabulary: int = 50) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    hidden = torch.randn(positions, width, requires_grad=True)
    head = torch.randn(vocabulary, width, requires_grad=True)
    weights = torch.rand(positions) * (torch.rand(positions) < 0.7)
    return hidden, head, torch.randint(0, vocabulary, (positions,)), weights


def _plainly(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    return (F.cross_entropy(hidden @ head.t(), targets, reduction="none") * weights).sum()


@pytest.mark.parametrize("max_logits", [1, 7 * 50, 2**24])
def test_loss_and_gradients_equal_the_plain_cross_entropy(max_logits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "MAX_LOGIT_BYTES", 4 * max_logits)
    hidden, head, targets, weights = _case()
    for function in (_plainly, cross_entropy_sum):
        total = function(hidden, head, targets, weights)
        gradients = torch.autograd.grad(total * 0.37, (hidden, head))
        if function is _plainly:
            expected, expected_gradients = total, gradients
    torch.testing.assert_close(total, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-6, atol=1e-6)


def test_without_a_gradient_the_loss_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "MAX_LOGIT_BYTES", 4 * 350)
    case = _case()
    with torch.no_grad():
        torch.testing.assert_close(cross_entropy_sum(*case), _plainly(*case), rtol=1e-6, atol=1e-6)


def test_in_float64_gradients_equal_finite_differences() -> None:
    hidden, head, targets, weights = (tensor.double() if tensor.is_floating_point() else tensor for tensor in _case(5))
    hidden = hidden.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy_sum(hidden, head, targets, weights), hidden)
    for place in ((0, 0), (1, 3), (4, 7)):
        nudge = torch.zeros_like(hidden)
        nudge[place] = 1e-5
        above, below = (cross_entropy_sum(hidden + sign * nudge, head, targets, weights) for sign in (1, -1))
        torch.testing.assert_close(gradient[place], (above - below) / 2e-5, rtol=1e-6, atol=1e-8)


def test_bfloat16_products_stay_near_float32() -> None:
    hidden, head, targets, weights = _case(width=64)
    expected = torch.autograd.grad(_plainly(hidden, head, targets, weights), (hidden, head))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = cross_entropy_sum(hidden, head, targets, weights)
    assert total.dtype == torch.float32
    for found, wanted in zip(torch.autograd.grad(total, (hidden, head)), expected, strict=True):
        assert found.dtype == torch.float32
        assert (found - wanted).norm() < 0.02 * wanted.norm()


class _Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes."""

    numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                self.numel = max(self.numel, value.numel())
        return result


def test_logits_of_all_positions_are_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "MAX_LOGIT_BYTES", 4 * 3 * 500)
    hidden, head, targets, weights = _case(positions=100, width=4, vocabulary=500)
    with _Largest() as largest:
        cross_entropy_sum(hidden, head, targets, weights).backward()
    assert largest.numel <= 500 * 4


def test_positions_of_weight_zero_take_no_part(make_model) -> None:
    step = ModelWithLoss(make_model(), CausalLMLoss())
    ragged = Batch.from_rows([[1, 2, 3, 4, 5], [6, 7], [8, 9, 10]])
    loss = step(ragged)
    assert loss.terms["next_token"].weight == 4 + 1 + 2 == step.objective.weights(ragged)["next_token"]
    alone = [step(Batch.from_rows([row])).total for row in ([1, 2, 3, 4, 5], [6, 7], [8, 9, 10])]
    torch.testing.assert_close(loss.total, sum(alone), rtol=1e-5, atol=1e-5)


def test_the_whole_step_equals_logits_and_cross_entropy(make_model) -> None:
    model = make_model()
    batch = Batch.from_ids(torch.randint(0, 17, (3, 17)))
    loss = ModelWithLoss(model, CausalLMLoss())(batch)
    logits = model.logits(model.hidden_states(model.embed(batch), batch))
    expected = F.cross_entropy(logits.flatten(0, 1), batch.target_ids.flatten(), reduction="sum")
    torch.testing.assert_close(loss.total, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_row_of_the_table_is_an_objective(make_model, name: str) -> None:
    assert isinstance(read_objective(name).build(make_model()), Objective)


def test_an_unknown_objective_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'next_token'"):
        read_objective("next_tokne")


def test_what_is_frozen_costs_no_gradient() -> None:
    """A frozen head, as in fine-tuning, and hidden states that nothing learns from, each without a product for it."""
    hidden, head, targets, weights = _case()
    products: list[tuple[int, ...]] = []

    class Products(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func in (torch.ops.aten.mm.default, torch.ops.aten.addmm_.default):
                products.append(tuple(args[0].shape))
            return func(*args, **(kwargs or {}))

    expected = torch.autograd.grad(cross_entropy_sum(hidden, head, targets, weights), (hidden, head))
    for frozen, (gradient,), number in ((head, expected[:1], 2), (hidden, expected[1:], 2)):
        products.clear()
        frozen.requires_grad_(False)
        moving = hidden if frozen is head else head
        with Products():
            total = cross_entropy_sum(hidden, head, targets, weights)
        assert torch.equal(torch.autograd.grad(total, moving)[0], gradient)
        assert len(products) == number
        frozen.requires_grad_()
