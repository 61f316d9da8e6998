"""Adapters of low rank: beside the matrices of any GPT, where they were asked for, and folded in without a trace."""

import math

import pytest
import torch
from torch import Tensor, nn

from tests.generation.conftest import FAMILIES, make_model
from tests.plugins.gru import GRU, GRUConfig
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.models.layers.low_rank import LoraLinear, lora_layers, merged_state
from textwright.models.lora import LoraConfig, add_lora, lora_state, merge_lora
from textwright.models.lora_config import ALL

EVERY_TARGET = {
    "gpt2": {"qkv", "query", "key", "value", "out", "up", "down"},
    "gpt1": {"qkv", "query", "key", "value", "out", "up", "down"},
    "qwen3": {"qkv", "query", "key", "value", "out", "gate", "up", "down"},
}


def logits(model: LanguageModel, seed: int = 3) -> Tensor:
    batch = Batch.for_inputs(torch.randint(0, 257, (2, 24), generator=torch.Generator().manual_seed(seed)))
    with torch.no_grad():
        return model.logits(model.hidden_states(model.embed(batch), batch))


def train_a_little(model: LanguageModel, spread: float = 0.3) -> None:
    """As if the B matrices had been trained: nothing is zeros any more."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".lora_b"):
                parameter.add_(torch.randn(parameter.shape, generator=generator) * spread)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_adapter_changes_nothing_and_no_name_of_what_was_there(family: str) -> None:
    model = make_model(family)
    before, state, hidden = logits(model), model.state_dict(), model.hidden_matrices()
    names = add_lora(model, LoraConfig(rank=4))
    assert torch.equal(logits(model), before)
    assert model.state_dict().keys() - state.keys() == set(names) == lora_state(model).keys()
    assert all(model.state_dict()[name].data_ptr() == value.data_ptr() for name, value in state.items())
    assert all(name.endswith((".lora_a", ".lora_b")) for name in names)
    assert model.hidden_matrices() == hidden  # Muon moves none of the new ones
    assert {type(layer) for _, layer in lora_layers(model)} == {LoraLinear}


@pytest.mark.parametrize(
    ("family", "targets"), [(family, target) for family, found in EVERY_TARGET.items() for target in sorted(found)]
)
def test_a_target_is_the_rows_that_it_says_in_every_block_and_no_others(family: str, targets: str) -> None:
    model = make_model(family)
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    add_lora(model, LoraConfig(rank=2, targets=(targets,)))
    train_a_little(model)
    parts = {"query": 0, "key": 1, "value": 2}
    splits = dict(model.hidden_matrices())
    for name, value in merged_state(model).items():
        layer = name.removesuffix(".weight").rpartition(".")[2]
        moved = (value != plain[name]).any(dim=1) if value.ndim == 2 else torch.tensor([False])
        if layer == targets:
            assert moved.all(), name
        elif layer == "qkv" and targets in parts:
            rows_of = enumerate(splits[name])
            expected = torch.cat([torch.full((rows,), number == parts[targets]) for number, rows in rows_of])
            assert torch.equal(moved, expected), name
        else:
            assert torch.equal(value, plain[name]), name


@pytest.mark.parametrize("family", FAMILIES)
def test_all_is_one_pair_for_each_matrix_between_hidden_states(family: str) -> None:
    model = make_model(family)
    add_lora(model, LoraConfig(rank=2, targets=(ALL,)))
    assert {f"{name}.weight" for name, _ in lora_layers(model)} == model.hidden_matrices().keys()
    assert all(len(layer.low_rank()) == 1 for _, layer in lora_layers(model))
    assert set(EVERY_TARGET[family]) - {"query", "key", "value"} == {
        name.rpartition(".")[2] for name, _ in lora_layers(model)
    }


@pytest.mark.parametrize("targets", [("all",), ("query", "value"), ("key", "down"), ("query", "key", "value", "out")])
@pytest.mark.parametrize("family", FAMILIES)
def test_folded_in_it_computes_the_same_as_a_plain_network(family: str, targets: tuple[str, ...]) -> None:
    model, plain = make_model(family), make_model(family)
    add_lora(model, LoraConfig(rank=3, alpha=5.0, targets=targets))
    train_a_little(model)
    expected = logits(model)
    assert (expected - logits(plain)).abs().max() > 0.1
    exported = model.exported_tensors()
    merge_lora(model)
    torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=0)
    assert model.state_dict().keys() == plain.state_dict().keys() == exported.keys() & plain.state_dict().keys()
    assert [type(module) for module in model.modules()] == [type(module) for module in plain.modules()]
    assert model.hidden_matrices() == plain.hidden_matrices()
    for name, value in model.state_dict().items():
        assert torch.equal(exported[name], value), name
    merge_lora(model)  # there is nothing to be folded in any more
    assert torch.equal(model.state_dict()["blocks.0.attention.qkv.weight"], exported["blocks.0.attention.qkv.weight"])


def test_the_product_is_what_the_paper_says_of_it() -> None:
    layer = LoraLinear(nn.Linear(6, 4), dropout=0.0)
    model = make_model("gpt2")
    add_lora(model, LoraConfig(rank=2, alpha=6.0, targets=("up",)))
    train_a_little(model)
    layer = next(layer for _, layer in lora_layers(model))
    (pair,) = layer.low_rank()
    x = torch.randn(5, 32)
    expected = x @ layer.weight.T + layer.bias + (6.0 / 2) * (x @ pair.lora_a.T) @ pair.lora_b.T
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_a_stabilised_rank_is_scaled_by_its_root() -> None:
    scales = []
    for rank_stabilised in (False, True):
        model = make_model("gpt2")
        add_lora(model, LoraConfig(rank=4, alpha=8.0, rank_stabilised=rank_stabilised))
        scales += [{pair.scale for _, layer in lora_layers(model) for pair in layer.low_rank()}]
    assert scales == [{8 / 4}, {8 / math.sqrt(4)}]


def test_the_seed_alone_draws_the_a_matrices_as_peft_does() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(drawn))
        model = make_model("qwen3")
        add_lora(model, LoraConfig(rank=8), seed)
        drawn.append(lora_state(model))
    assert all(torch.equal(value, drawn[1][name]) for name, value in drawn[0].items())
    for name, value in drawn[0].items():
        if name.endswith(".lora_b"):
            assert not value.any()
        else:
            bound = value.shape[1] ** -0.5
            assert not torch.equal(value, drawn[2][name])
            assert 0.8 * bound < value.abs().max() <= bound
            assert value.std() == pytest.approx(bound / math.sqrt(3), rel=0.2)


def test_dropout_is_for_learning_alone() -> None:
    model = make_model("gpt2")
    add_lora(model, LoraConfig(rank=4, dropout=0.5))
    train_a_little(model)
    expected, ids = logits(model), torch.arange(10)[None]
    batch = Batch.for_inputs(ids)
    read = model.extend(ids, [10], model.empty_cache(1), [0])
    model.train()
    assert torch.equal(model.extend(ids, [10], model.empty_cache(1), [0]), read)  # samples are drawn while it trains
    once, again = (model.hidden_states(model.embed(batch), batch) for _ in range(2))
    assert not torch.equal(once, again)
    merge_lora(model.eval())
    torch.testing.assert_close(logits(model), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            ("quary",),
            r"unknown target 'quary'.*one of all, down, key, out, qkv, query, up, value; did you mean 'query'",
        ),
        (("gate",), r"unknown target 'gate'; expected one of all, down"),
        (
            ("query", "qkv"),
            r"the targets query qkv: query is a part of qkv; expected each matrix once; leave query out",
        ),
        (("all", "value"), r"the targets all value: value is a part of qkv"),
    ],
)
def test_a_target_that_is_not_there_or_meant_twice_is_one_line_and_leaves_the_network(
    targets: tuple[str, ...], message: str
) -> None:
    model = make_model("gpt2")
    with pytest.raises(InputError, match=message):
        add_lora(model, LoraConfig(targets=targets))
    assert not lora_state(model)


def test_values_that_cannot_be() -> None:
    for values in ({"rank": 0}, {"alpha": 0}, {"dropout": 1.0}, {"targets": ()}, {"targts": ("up",)}):
        with pytest.raises(InputError):
            LoraConfig(**values)


def test_a_second_adapter_and_a_model_without_linear_layers_are_refused() -> None:
    model = make_model("gpt2")
    add_lora(model, LoraConfig())
    with pytest.raises(InputError, match=r"has an adapter already, at blocks.0.attention.qkv.*merge_lora"):
        add_lora(model, LoraConfig())
    recurrent = GRU(GRUConfig(vocab_size=9, context_length=8, hidden_size=4))
    with pytest.raises(InputError, match="an adapter for a toy-gru model; expected one with linear layers"):
        add_lora(recurrent, LoraConfig())
