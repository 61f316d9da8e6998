"""Products of int8 are exact, whether or not the processor multiplies four pairs of bytes at once."""

import numba
import pytest
import torch
from torch import Tensor

from textwright.engines.cpu.kernels import gemm_microkernels
from textwright.engines.cpu.kernels.layout import BLOCK_LINES, INT8

NUM_LINES = BLOCK_LINES + 1
NUM_BLOCKS = 2


@pytest.mark.parametrize("num_inputs", [1, 4, 16])
@pytest.mark.parametrize("has_vnni", [False, True] if gemm_microkernels.HAS_VNNI else [False])
def test_int8_products_are_exact_on_every_processor(
    num_inputs: int, has_vnni: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gemm_microkernels, "HAS_VNNI", has_vnni)
    multiply = gemm_microkernels.make_gemm_microkernel(INT8, num_inputs, 1)

    @numba.njit
    def call(panel: int, inputs: int, blocks: int, lines: int, sums: int) -> None:
        multiply(panel, inputs, blocks, lines, sums)

    generator = torch.Generator().manual_seed(num_inputs)
    panel = torch.randint(0, 256, (NUM_LINES, 16, 16, 4), generator=generator).to(torch.uint8)
    inputs = torch.randint(-127, 128, (NUM_LINES, num_inputs, 64), generator=generator).to(torch.int8)
    panel[0], inputs[0] = 255, -127  # the largest products, all of one sign
    panel[1, :, 0], inputs[1, :, 1::2] = 0, 127
    begins = torch.randint(-(2**20), 2**20, (num_inputs, NUM_BLOCKS), generator=generator, dtype=torch.int32)
    # Powers of two: only the one sum of the two blocks is rounded.
    scales = torch.exp2(torch.randint(-3, 4, (num_inputs, NUM_BLOCKS), generator=generator).float())
    blocks = torch.stack([scales, begins.view(torch.float32)], dim=-1).contiguous()
    sums = torch.full((num_inputs, 16), torch.nan)
    call(panel.data_ptr(), inputs.data_ptr(), blocks.data_ptr(), NUM_LINES, sums.data_ptr())
    assert torch.equal(sums, expected(panel, inputs, scales, begins).float())


def expected(panel: Tensor, inputs: Tensor, scales: Tensor, begins: Tensor) -> Tensor:
    """[inputs, 16 rows], added up in float64, which holds every sum exactly."""
    of_lines = torch.einsum("lsrk,lnsk->lnr", panel.double(), inputs.double().unflatten(-1, (16, 4)))
    of_blocks = torch.stack([of_lines[:BLOCK_LINES].sum(0), of_lines[BLOCK_LINES:].sum(0)], dim=1)  # [n, blocks, rows]
    return ((of_blocks + begins[:, :, None].double()) * scales[:, :, None].double()).sum(1)
