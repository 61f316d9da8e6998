"""The presets are the sizes they are known by."""

import pytest
import torch

from textwright.core.errors import InputError
from textwright.models.catalog import build, presets
from textwright.models.gpt.network import GPT
from textwright.models.presets import preset

PARAMETERS = {
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
}


def count(name: str, vocab_size: int) -> int:
    with torch.device("meta"):
        model = GPT(preset(name, vocab_size=vocab_size))
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_four_sizes_of_gpt2_have_its_parameters(name: str) -> None:
    assert count(name, 50257) == PARAMETERS[name]


def test_gpt1_has_its_parameters() -> None:
    assert count("gpt1", 40478) == 116_534_784


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("nano", 0.79e6, 0.82e6),
        ("tiny", 4.5e6, 6e6),
        ("small", 22e6, 28e6),
        ("qwen3-nano", 0.7e6, 0.9e6),
        ("qwen3-tiny", 4.5e6, 6e6),
        ("qwen3-small", 20e6, 28e6),
    ],
)
def test_the_small_presets_are_as_small_as_they_say(name: str, low: float, high: float) -> None:
    assert low <= count(name, 65 if "nano" in name else 8192) <= high


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_a_valid_config(name: str) -> None:
    config = preset(name, vocab_size=100, dropout=0.1)
    dropouts = {field: value for field, value in config if field.startswith("dropout")}
    assert set(dropouts.values()) <= {0.1}


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'gpt2-medium'"):
        preset("gpt2-meduim", vocab_size=100)


def test_a_preset_builds_and_runs_at_its_smallest() -> None:
    model = build(preset("qwen3-nano", vocab_size=65))
    cache = model.empty_cache(1)
    assert model.extend(torch.zeros(1, 3, dtype=torch.int64), [3], cache, [0]).shape == (1, 3, 128)
    assert cache.length(0) == 3


def test_values_that_do_not_go_together_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="position_encoding = 'sinusoid'"):
        preset("qwen3-nano", vocab_size=65, position_encoding="sinusoid")


def test_embeddings_begin_as_wide_as_they_are_told_to() -> None:
    shape = {"vocab_size": 500, "context_length": 64}
    for asked, expected in ((None, 0.02), (0.06, 0.06)):
        model = build(preset("nano", **shape, embedding_std=asked), seed=0)
        assert abs(model.head_weight.std().item() - expected) < 0.05 * expected
        assert abs(model.get_parameter("blocks.0.mlp.up.weight").std().item() - 0.02) < 0.001
