import pytest
import torch
from torch import nn

from textwright.training import muon
from textwright.training.muon import Muon, orthogonalise


def _parameters(*shapes: tuple[int, int]) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def make_muon(parameters: list[nn.Parameter], splits: list[tuple[int, ...]], *, lr: float, weight_decay: float) -> Muon:
    group = {"params": parameters, "lr": lr, "weight_decay": weight_decay}
    return Muon([group], dict(zip(parameters, splits, strict=True)))


def test_equals_torchs_muon_matrix_by_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "NUM_ITERATIONS", 5)  # torch's
    shapes = ((8, 8), (8, 8), (32, 8), (8, 32), (8, 8))
    ours, theirs = _parameters(*shapes), _parameters(*shapes)
    batched = make_muon(ours, [(shape[0],) for shape in shapes], lr=0.02, weight_decay=0.1)
    reference = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, momentum=0.95)
    for _ in range(5):
        for mine, its in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            its.grad = mine.grad.clone()
        batched.step({mine: mine.grad for mine in ours}, 1.0, {})
        reference.step()
    for mine, its in zip(ours, theirs, strict=True):
        # Both iterate in bfloat16 where the machine has it; a batched product may round another way.
        torch.testing.assert_close(mine, its, rtol=0, atol=0.02 * 5 * 2e-2)


def test_a_stacked_weight_moves_as_its_matrices_would() -> None:
    (stacked,) = _parameters((20, 8))
    cut = (8, 6, 6)
    parts = [nn.Parameter(part.clone()) for part in stacked.detach().split(cut)]
    together = make_muon([stacked], [cut], lr=0.02, weight_decay=0.1)
    apart = make_muon(parts, [(rows,) for rows in cut], lr=0.02, weight_decay=0.1)
    for _ in range(3):
        stacked.grad = torch.randn(20, 8)
        for part, gradient in zip(parts, stacked.grad.split(cut), strict=True):
            part.grad = gradient.clone()
        together.step({stacked: stacked.grad}, 1.0, {})
        apart.step({part: part.grad for part in parts}, 1.0, {})
    assert torch.equal(stacked.detach(), torch.cat([part.detach() for part in parts]))


@pytest.mark.parametrize("shape", [(6, 6), (24, 6), (6, 24)])
def test_orthogonalised_matrices_have_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(3, *shape)).float())
    assert values.min() > 0.3
    assert values.max() < 1.4


def test_a_zero_gradient_moves_nothing_but_by_decay() -> None:
    (weight,) = _parameters((4, 4))
    before = weight.detach().clone()
    optimizer = make_muon([weight], [(4,)], lr=0.1, weight_decay=0.5)
    optimizer.step({weight: torch.zeros(4, 4)}, 1.0, {})
    torch.testing.assert_close(weight.detach(), before * 0.95)
