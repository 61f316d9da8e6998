"""Every weight belongs to one part of its network, whatever the family: a strategy that missed one would freeze it."""

import pytest

from tests.models.test_contract import VARIANTS, make
from tests.plugins.gru import GRU, GRUConfig
from textwright.models.gpt.config import GPTConfig
from textwright.models.layer_groups import group_layers


@pytest.mark.parametrize("name", VARIANTS)
def test_the_parts_of_a_gpt_are_its_weights_from_the_bottom_up(name: str) -> None:
    model = make(name)
    groups = model.layer_groups()
    assert sorted(weight for group in groups for weight in group.weights) == sorted(dict(model.named_parameters()))
    for group in groups:
        for weight in group.weights:
            assert weight.startswith(group.prefixes)
        for prefix in group.prefixes:
            assert any(weight.startswith(prefix) for weight in group.weights)
    kinds = [group.kind for group in groups]
    assert isinstance(model.config, GPTConfig)
    has_norm, has_head = model.config.norm_position == "pre", not model.config.tie_embeddings
    assert kinds == ["embedding", *["block"] * 3, *["final_norm"] * has_norm, *["head"] * has_head]
    assert [group.name for group in groups if group.kind == "block"] == ["block 0", "block 1", "block 2"]


def test_a_tied_head_is_a_part_of_the_embeddings_and_its_name_says_so() -> None:
    assert make("gpt2").layer_groups()[0].name == "embeddings, head"
    assert make("gpt2 untied, scaled by layer").layer_groups()[0].name == "embeddings"


def test_block_10_is_no_part_of_block_1() -> None:
    groups = {group.name: group for group in make("gpt2", num_layers=11).layer_groups()}
    assert len(groups["block 1"].weights) == len(groups["block 10"].weights)


def test_a_family_that_says_nothing_of_its_parts_has_none() -> None:
    assert GRU(GRUConfig(vocab_size=9, context_length=8, hidden_size=4)).layer_groups() == ()


@pytest.mark.parametrize("parts", [[("a.",)], [("a.", "b."), ("b.",)]])
def test_a_weight_that_is_in_no_part_or_in_two_is_a_mistake_of_the_family(parts: list[tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match=r"not in exactly one part of the network: b\.weight"):
        group_layers([("some block", "block", prefixes) for prefixes in parts], ["a.weight", "b.weight"])
