"""Our AdamW, compiled and not, moves as torch's own does."""

import shutil

import pytest
import torch
from torch import Tensor, nn

from textwright.training.adamw import LARGE, AdamW

SHAPES = ((LARGE // 64, 64), (300, 8), (16,))


@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("compiles", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_state_and_copies_are_those_of_torch(compiles: bool, dtype: torch.dtype, is_transposed: bool) -> None:
    if compiles and not shutil.which("g++"):
        pytest.skip("needs a C++ compiler")
    generator = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    if is_transposed:  # the matrices are views of their transposes, and their gradients are not
        ours = [nn.Parameter(parameter.detach().t().contiguous().t()) for parameter in ours]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in ours]
    copies: dict[Tensor, Tensor] = {parameter: parameter.detach().to(torch.bfloat16) for parameter in ours[:2]}
    mine = AdamW([{"params": ours, "weight_decay": 0.1, "lr": 0.01}], beta2=0.97, compiles=compiles)
    reference = torch.optim.AdamW(theirs, lr=0.01, betas=(0.9, 0.97), weight_decay=0.1, foreach=False)
    for scale in (1.0, 0.25, 0.5):
        gradients = {parameter: torch.randn(parameter.shape, generator=generator).to(dtype) for parameter in ours}
        for its, gradient in zip(theirs, gradients.values(), strict=True):
            its.grad = gradient.float() * scale
        mine.step(gradients, scale, copies)
        reference.step()
    for parameter, its in zip(ours, theirs, strict=True):
        torch.testing.assert_close(parameter, its, rtol=1e-5, atol=1e-6)
        for name, value in reference.state[its].items():
            torch.testing.assert_close(mine.state[parameter][name], value, rtol=1e-5, atol=1e-6)
    for parameter, copy in copies.items():
        assert torch.equal(copy, parameter.detach().to(torch.bfloat16))
