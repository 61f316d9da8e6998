"""A model with an adapter of low rank that is not folded in is decoded by every engine as torch computes it."""

import pytest
import torch

from tests.engines.test_cpu_decoder import fed, plain_logits, some_ids
from tests.generation.conftest import CONTEXT, make_model
from tests.models.test_lora import train_a_little
from textwright.engines.catalog import choose_engine, make_decoder
from textwright.engines.config import DecodingPrecision, EngineConfig
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.models.language_model import LanguageModel
from textwright.models.lora import LoraConfig, add_lora, lora_state, merge_lora


def adapted(family: str) -> LanguageModel:
    model = make_model(family)
    add_lora(model, LoraConfig(rank=3, targets=("query", "value", "up", "down")))
    train_a_little(model)
    return model


@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_the_kernels_fold_it_in_and_leave_the_model(family: str) -> None:
    model = adapted(family)
    expected, added = plain_logits(model, some_ids()), lora_state(model).keys()
    assert (expected - plain_logits(make_model(family), some_ids())).abs().max() > 0.1
    assert choose_engine(model, EngineConfig(engine="cpu")) == "cpu"
    decoder = CPUDecoder(model)
    torch.testing.assert_close(fed(decoder, some_ids(), (20, *(1,) * (CONTEXT - 20))), expected, atol=2e-4, rtol=0)
    assert lora_state(model).keys() == added
    assert torch.equal(plain_logits(model, some_ids()), expected)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_the_kernels_decode_it_as_the_folded_model(precision: DecodingPrecision) -> None:
    model = adapted("gpt2")
    found = fed(CPUDecoder(model, precision), some_ids(), (CONTEXT,))
    merge_lora(model)
    assert torch.equal(found, fed(CPUDecoder(model, precision), some_ids(), (CONTEXT,)))


@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-4), ("bfloat16", 0.05)])
def test_torch_decodes_it_against_its_cache(precision: DecodingPrecision, most: float) -> None:
    model = adapted("qwen3")
    expected, decoder = plain_logits(model, some_ids()), make_decoder(model, "torch", precision)
    cache = decoder.empty_cache(3)
    parts = [
        decoder.logits(decoder.extend(some_ids()[:, start:stop], [stop - start] * 3, cache, [0, 1, 2]))
        for start, stop in ((0, 20), (20, 21), (21, CONTEXT))
    ]
    error = (torch.cat(parts, dim=1).float() - expected).abs()
    assert (error.max() if precision == "float32" else error.mean()) <= most * expected.std()
