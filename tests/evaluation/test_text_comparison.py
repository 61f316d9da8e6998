"""Models with different tokens are compared on the same bytes, and each figure is that of the model alone."""

import math

import numpy as np
import pytest
import torch

from textwright.core.errors import InputError
from textwright.evaluation.language_modelling import score_text
from textwright.evaluation.n_gram import N_GRAM, AdaptiveNGram
from textwright.evaluation.text_comparison import BLOCK_BYTES, TextComparison
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

TEXTS = [f"Text {place}: the cat sat on mat {place * 7}, 床前明月光. " * (1 + place % 40) for place in range(25)] + [""]


def model_of(tokenizer: Tokenizer, *, seed: int) -> LanguageModel:
    torch.manual_seed(seed)
    size = tokenizer.vocab_size
    built = build(GPTConfig(vocab_size=size, context_length=32, num_layers=1, num_heads=1, hidden_size=8))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return built.eval()


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {
        "bytes": make_tokenizer("byte", lambda: iter(())),
        "pairs": make_tokenizer("bpe:300", lambda: iter(TEXTS)),
    }


def test_each_models_figure_is_its_own(tokenizers: dict[str, Tokenizer]) -> None:
    comparison = TextComparison(TEXTS)
    alone = {}
    for name, tokenizer in tokenizers.items():
        observe = comparison.observer(name, tokenizer)
        alone[name] = score_text(model_of(tokenizer, seed=0), tokenizer, TEXTS, observe=observe).bits_per_byte
    comparison.add_n_gram()
    rows = comparison.rows(num_resamples=300)
    assert list(rows) == ["bytes", "pairs", N_GRAM]
    for name, bits in alone.items():
        assert rows[name].bits_per_byte == pytest.approx(bits, rel=1e-6)
        assert rows[name].low < bits < rows[name].high
    read = AdaptiveNGram()
    total = sum(read.bits(text.encode()).sum() for text in TEXTS)
    assert rows[N_GRAM].bits_per_byte == pytest.approx(total / sum(len(text.encode()) for text in TEXTS))
    assert (comparison.unit, comparison.num_units) == ("documents", 25)
    pairs = comparison.pairs(num_resamples=300)
    assert [(pair.a, pair.b) for pair in pairs] == [("bytes", "pairs"), ("bytes", N_GRAM), ("pairs", N_GRAM)]
    assert pairs[1].difference == pytest.approx(rows[N_GRAM].bits_per_byte - rows["bytes"].bits_per_byte)
    assert pairs[1].verdict == "better"
    assert pairs[1].p_corrected <= 3 / 301 + 1e-9
    assert pairs[1].words("documents") == "B is better"


def test_a_token_counts_in_the_block_it_begins_in_and_few_documents_are_cut_into_blocks(
    tokenizers: dict[str, Tokenizer],
) -> None:
    text = "é" + "x" * (2 * BLOCK_BYTES) + "é"
    comparison = TextComparison(["", text])
    assert (comparison.unit, comparison.num_units) == ("blocks", 3)
    ids = tokenizers["bytes"].encode(text)
    nats = torch.full((len(ids),), math.log(2))
    nats[-1] = 8 * math.log(2)
    comparison.observer("a", tokenizers["bytes"])(1, ids, -nats)
    sizes = [BLOCK_BYTES, BLOCK_BYTES, 4]
    np.testing.assert_allclose(comparison._bits["a"], [sizes[0], sizes[1], sizes[2] + 7], rtol=1e-6)
    np.testing.assert_allclose(comparison._bytes, sizes)


def test_a_tokenizer_that_does_not_give_the_text_back_is_spread_evenly(tokenizers: dict[str, Tokenizer]) -> None:
    comparison = TextComparison(["x" * (2 * BLOCK_BYTES)])
    comparison.observer("a", tokenizers["bytes"])(0, [65] * 10, torch.full((10,), -math.log(2)))
    np.testing.assert_allclose(comparison._bits["a"], [5, 5], rtol=1e-6)


def test_no_text_is_refused() -> None:
    with pytest.raises(InputError, match="no text to evaluate"):
        TextComparison([""])
