"""Packed weights are the weights: to the last bit as floats, to the nearest step as int8."""

import math

import pytest
import torch
from torch import Tensor

from tests.engines.test_cpu_decoder import fed, plain_logits, some_ids
from tests.generation.conftest import make_model
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.engines.cpu.kernels.layout import INPUT_SHIFT
from textwright.engines.cpu.packing import DecodingPrecision, fits, pack_floats, pack_int8, quantize_rows


def weights(rows: int = 50, columns: int = 70) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))


def with_every_exponent() -> Tensor:
    """Weights that no window holds: 0, -0, and every power of two a float32 has, tiny ones too."""
    weight = weights()
    weight[3] = 0
    weight[4] = -0.0
    weight[5] = 0
    weight[5, ::9] = 1.0
    weight[6:13] *= torch.exp2(torch.linspace(-140, 120, 7))[:, None]
    weight[13:30] *= torch.exp2(torch.linspace(-30, 30, 70))
    weight[31, 7] = 1e6
    weight[32, :40] = 1e-40
    return weight


def read_again(weight: Tensor, precision: DecodingPrecision) -> Tensor:
    """The matrix that panels, factors and outliers stand for, in float64, read as the layout says and slowly."""
    pairs, factors, outliers = pack_floats(weight, precision)
    panels = pairs.permute(0, 3, 1, 2, 4).flatten(0, 1)  # [panels, chunks, lines of memory, 16]
    rows, columns = weight.shape
    found = torch.zeros(len(panels) * 16, 128, dtype=torch.float64)
    read = of_float32 if precision == "float32" else of_bfloat16
    for panel, of_panel in enumerate(panels):
        for chunk, lines in enumerate(of_panel):
            words = (lines.long() & 0xFFFFFFFF).tolist()
            for lane in range(16):
                for k, value in enumerate(read([word[lane] for word in words])):
                    found[16 * panel + lane, 8 * chunk + k] = value
    assert not found[:, columns:].any()
    found = found[:rows, :columns] * factors[:, None].double() * 2.0**INPUT_SHIFT
    starts, entries = outliers[: len(panels) + 1].tolist(), outliers[len(panels) + 1 :].view(-1, 2)
    for panel in range(len(panels)):
        for place, bits in entries[starts[panel] : starts[panel + 1]]:
            row, column = 16 * panel + int(place) % 16, int(place) // 16
            assert found[row, column] == 0
            found[row, column] = bits.view(torch.float32).double() * factors[row].double()
    return found


def of_float32(words: list[int]) -> list[float]:
    found = []
    for k in range(8):
        three = words[1 + 3 * (k // 4) :][:3]
        rest = sum((word >> 23 & 255) << (8 * place) for place, word in enumerate(three))
        kept = three[k % 4] & 0x807FFFFF if k % 4 < 3 else (rest & 0x800000) << 8 | rest & 0x7FFFFF
        found.append(as_float(kept | (words[0] >> (4 * k) & 15) << 23))
    return found


def of_bfloat16(words: list[int]) -> list[float]:
    found = []
    for k in range(8):
        code = words[0] >> (4 * (k // 2) + 16 * (k % 2)) & 15
        byte = words[1 + k // 4] >> (8 * (k % 4 // 2) + 16 * (k % 2)) & 255
        found.append(as_float((byte & 0x80) << 24 | (byte & 0x7F) << 16 | code << 23))
    return found


def as_float(bits: int) -> float:
    return float(torch.tensor([bits], dtype=torch.int64).to(torch.int32).view(torch.float32))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_floats_are_kept_to_the_last_bit(precision: DecodingPrecision) -> None:
    for weight in (weights(), with_every_exponent(), weights(16, 16), weights(1, 1) * 0):
        expected = weight if precision == "float32" else weight.bfloat16().float()
        found = read_again(weight, precision)
        # What is 2^-96 of a row's other weights and less adds nothing to its sum.
        tiny = expected.abs() < expected.abs().amax(dim=1, keepdim=True) * 2.0**-96
        assert torch.equal(found.float()[~tiny], expected[~tiny])
        assert bool((found[tiny].abs() <= expected[tiny].abs()).all())


def test_few_weights_of_a_model_are_outliers() -> None:
    weight = weights(512, 768)
    starts = pack_floats(weight, "float32")[2][:33]
    assert 0 < int(starts[-1]) < weight.numel() / 3000
    weight[:, 5] = 1e5  # one large weight a row does not make outliers of the others
    assert int(pack_floats(weight, "float32")[2][32]) < weight.numel() / 100


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_outliers_count_in_products_whatever_is_beside_them(precision: DecodingPrecision) -> None:
    """Sums with many outliers, in tiles of 1, 4 and 16, against torch's of the same weights."""
    model = make_model("gpt2")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(torch.exp2(torch.randint(-20, 2, parameter.shape, generator=generator)))
        model.head_weight.mul_(4)
        ids, expected = some_ids(), plain_logits(model, some_ids())
    assert int(pack_floats(model.head_weight.detach(), precision)[2][18]) > 500
    if precision == "float32":
        for pieces in ((1,) * 20, (4, 16), (20,)):
            torch.testing.assert_close(
                fed(CPUDecoder(model), ids, pieces), expected[:, :20], atol=1e-4 * float(expected.std()), rtol=0
            )
    decoder = CPUDecoder(model, precision)
    assert torch.equal(fed(decoder, ids, (1,) * 20), fed(decoder, ids, (20,)))


@pytest.mark.parametrize("pieces", [(1,), (4,), (16,)])
def test_an_outlier_keeps_all_its_digits(pieces: tuple[int, ...]) -> None:
    """The weight times its row's factor would lie below the smallest normal float, which has few."""
    model, tiny = make_model("gpt2"), 1.2345678 * 2.0**-30
    with torch.no_grad():
        model.final_norm.get_parameter("weight").zero_()
        model.final_norm.get_parameter("bias").zero_()[3] = 1.0
        model.head_weight[5] = 1.0
        model.head_weight[5, 3] = tiny
    found = fed(CPUDecoder(model), some_ids(), pieces)
    assert torch.equal(found[..., 5], torch.full_like(found[..., 5], tiny))


@pytest.mark.parametrize("size", [1.0, 1e4, 1e-12])
def test_inputs_may_be_large_and_small(size: float) -> None:
    model, ids = make_model("gpt2"), some_ids()
    with torch.no_grad():
        model.final_norm.get_parameter("weight").mul_(size)
        model.final_norm.get_parameter("bias").mul_(size)
    expected = plain_logits(model, ids)
    found = fed(CPUDecoder(model), ids, (len(ids[0]),))
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.std()), rtol=0)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_weights_that_are_no_numbers_stay_none(value: float) -> None:
    weight = weights()
    weight[3, 4] = value
    found = read_again(weight, "float32")
    assert not math.isfinite(float(found[3, 4]))
    assert torch.equal(found[4:].float(), weight[4:])


def test_rounding_to_int8_is_to_the_nearest_of_255_steps() -> None:
    weight = weights()
    weight[7] = 0
    rounded, scales = quantize_rows(weight)
    again = scales[:, None] * (rounded.float() - 128)
    assert bool(((again - weight).abs() <= scales[:, None] / 2 * (1 + 1e-5)).all())


def test_panels_of_int8_hold_a_matrix_in_the_order_it_is_read() -> None:
    panels, scales = pack_int8(weights())
    assert panels.shape[2:] == (16, 4)
    again = panels.transpose(1, 2).reshape(64, -1)
    assert torch.equal(again[:50, :70], quantize_rows(weights())[0])
    assert not again[50:].any()
    assert not again[:, 70:].any()
    assert fits([panels, scales], weights().shape)
    assert not fits([panels[:1], scales], weights().shape)
    assert not fits([panels], weights().shape)
