"""Matrices in the order and in the bits in which the kernels read them.

::

    panel 0    rows 0 to 15, columns 0 | rows 0 to 15, columns 1 | ...     for bfloat16 two columns, for int8 four

Sixteen rows are interleaved, and two panels of floats, line by line: see ``kernels.gemm_microkernels``. What is left of
the last panels, and of the columns' last line, is zeros.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textwright.engines.config import DecodingPrecision
from textwright.engines.cpu.kernels.layout import (
    BFLOAT16,
    CHUNK_LINES,
    COLUMNS,
    FLOAT32,
    FLOAT_INTERLEAVE,
    INPUT_SHIFT,
    INT8,
    INTERLEAVE,
    LANES,
    VALUES_PER_LINE,
)
from textwright.kernels.kept_function import KeptFunction

_CODEC = "textwright.engines.cpu.kernels.exponent_codec"
choose_base_exponents, extract_outliers, encode_float32, encode_bfloat16 = (
    KeptFunction(_CODEC, name, 5)
    for name in ("choose_base_exponents", "extract_outliers", "encode_float32", "encode_bfloat16")
)

KINDS: dict[DecodingPrecision, int] = {"float32": FLOAT32, "bfloat16": BFLOAT16, "int8": INT8}


def pack_floats(weight: Float[Tensor, "rows columns"], precision: DecodingPrecision) -> tuple[Tensor, Tensor, Tensor]:
    """A matrix in float32, or rounded to bfloat16, with short exponents; nothing else is lost.

    Returns:
        Panels, int32 [pairs of panels, columns / 8, lines of memory, 2, 16]; the factors of rows, float32 [rows];
        outliers, int32 [panels + 1, then 2 x outliers]: where each panel's begin, and pairs of a place and a weight;
        see ``kernels.exponent_codec``.
    """
    rows = len(weight)
    rounded = weight.float() if precision == "float32" else weight.bfloat16().float()
    bits = _interleave(rounded, KINDS[precision], 1)[..., 0]  # [panels, columns, 16]
    num_panels, num_columns, _ = bits.shape
    panels = torch.empty(num_panels, num_columns // COLUMNS, CHUNK_LINES[KINDS[precision]], LANES, dtype=torch.int32)
    bases, counts = torch.empty(3, num_panels, LANES, dtype=torch.int32), torch.empty(num_panels, dtype=torch.int64)
    words = bits.data_ptr(), num_panels, num_columns, bases.data_ptr()
    choose_base_exponents(*words, counts.data_ptr())
    starts = nn.functional.pad(counts.cumsum(0), (1, 0)).int()
    entries = torch.empty(int(starts[-1]), 2, dtype=torch.int32)
    extract_outliers(*words, entries.data_ptr())
    encode = encode_float32 if precision == "float32" else encode_bfloat16
    encode(*words, panels.data_ptr())
    factors = torch.exp2((bases[0].flatten()[:rows] - INPUT_SHIFT).float())
    pairs = panels.view(-1, FLOAT_INTERLEAVE, *panels.shape[1:]).permute(0, 2, 3, 1, 4).contiguous()
    return pairs, factors, torch.cat([starts, entries.flatten()])


def pack_int8(weight: Float[Tensor, "rows columns"]) -> tuple[Tensor, Tensor]:
    """A matrix rounded to int8.

    Returns:
        Panels, uint8 [panels, steps, 16, 4]; the scales of rows, float32 [rows].
    """
    numbers, scales = quantize_rows(weight.float())
    return _interleave(numbers, INT8, 4), scales


def fits(packed: Sequence[Tensor], shape: torch.Size) -> bool:
    """Whether these are what ``pack_int8`` makes of a matrix of that shape.

    Kernels would read beyond the end of what is too small, and it may come from a file.
    """
    rows, columns = shape
    steps = -(-columns // VALUES_PER_LINE[INT8]) * LANES
    panels = torch.Size([-(-rows // LANES), steps, LANES, 4])
    return [(tensor.shape, tensor.dtype) for tensor in packed] == [
        (panels, torch.uint8),
        (torch.Size([rows]), torch.float32),
    ]


def quantize_rows(weight: Float[Tensor, "rows columns"]) -> tuple[Tensor, Tensor]:
    """A matrix as int8 with a scale for each row: weight is about scale x (byte - 128).

    Returns:
        Bytes, uint8 [rows, columns]; scales, float32 [rows].
    """
    scales = weight.abs().amax(dim=1) / 127
    rounded = (weight / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]).round_() + 128
    return rounded.to(torch.uint8), scales


def _interleave(numbers: Tensor, kind: int, together: int) -> Tensor:
    """[rows, columns] as [panels, steps, 16, columns of a step], filled up to whole lines and panels."""
    rows, columns = numbers.shape
    per_line = VALUES_PER_LINE[kind]
    padded = nn.functional.pad(numbers, (0, -columns % per_line, 0, -rows % (INTERLEAVE[kind] * LANES)))
    return padded.reshape(-1, LANES, padded.shape[1] // together, together).transpose(1, 2).contiguous()
