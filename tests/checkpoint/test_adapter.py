"""An adapter's folder: what we write is read as it was, and what does not fit is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.generation.conftest import FAMILIES, make_model
from tests.models.test_lora import logits, train_a_little
from textwright.checkpoint.adapter import WEIGHTS, load_adapter, read_adapter, save_adapter
from textwright.checkpoint.model_folder import ADAPTER, OURS, load_model, save_model
from textwright.core.errors import InputError
from textwright.models.language_model import LanguageModel
from textwright.models.lora import LoraConfig, add_lora, lora_state, merge_lora
from textwright.tokens import Tokenizer

Change = Callable[[Path], object]


def adapted(family: str = "gpt2", **values: Any) -> LanguageModel:
    model = make_model(family)
    add_lora(model, LoraConfig.model_validate({"rank": 3, "alpha": 7.0} | values))
    train_a_little(model)
    return model


@pytest.mark.parametrize("targets", [("all",), ("query", "value"), ("key",), ("qkv", "down"), ("value", "out", "up")])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_is_read_as_it_was_written(family: str, targets: tuple[str, ...], tmp_path: Path) -> None:
    model = adapted(family, targets=targets, dropout=0.25)
    save_adapter(model, tmp_path / "adapter", base="the/base")
    again = make_model(family)
    config = load_adapter(again, tmp_path / "adapter")
    torch.testing.assert_close(logits(again), logits(model), atol=2e-5, rtol=0)
    assert config.dropout == 0.25
    assert read_adapter(tmp_path / "adapter").base == "the/base"
    # Once more it is the same to the last bit: what it is made of there is what it is made of here.
    save_adapter(again, tmp_path / "again")
    first, second = load_file(tmp_path / "adapter" / WEIGHTS), load_file(tmp_path / "again" / WEIGHTS)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_what_is_written_has_peft_s_names_and_shapes(tmp_path: Path) -> None:
    save_adapter(adapted(targets=("all",)), tmp_path / "gpt2")
    values = json.loads((tmp_path / "gpt2" / ADAPTER).read_text())
    assert values["target_modules"] == ["c_attn", "c_fc", "c_proj"]
    assert (values["r"], values["lora_alpha"], values["fan_in_fan_out"], values["rank_pattern"]) == (3, 7, True, {})
    shapes = {name: list(tensor.shape) for name, tensor in load_file(tmp_path / "gpt2" / WEIGHTS).items()}
    prefix = "base_model.model.transformer.h.1"
    assert shapes[f"{prefix}.attn.c_attn.lora_A.weight"] == [3, 32]
    assert shapes[f"{prefix}.attn.c_attn.lora_B.weight"] == [96, 3]
    assert shapes[f"{prefix}.mlp.c_proj.lora_A.weight"] == [3, 128]
    assert len(shapes) == 2 * 2 * 4

    save_adapter(adapted("qwen3", targets=("query", "value", "down")), tmp_path / "qwen3")
    values = json.loads((tmp_path / "qwen3" / ADAPTER).read_text())
    assert values["target_modules"] == ["down_proj", "q_proj", "v_proj"]
    assert values["fan_in_fan_out"] is False
    shapes = {name: list(tensor.shape) for name, tensor in load_file(tmp_path / "qwen3" / WEIGHTS).items()}
    prefix = "base_model.model.model.layers.0.self_attn"
    assert shapes[f"{prefix}.q_proj.lora_B.weight"] == [32, 3]
    assert shapes[f"{prefix}.v_proj.lora_B.weight"] == [16, 3]
    assert not any("k_proj" in name for name in shapes)


def test_queries_and_values_of_gpt2_are_one_pair_of_twice_the_rank_there(tmp_path: Path) -> None:
    save_adapter(adapted(targets=("query", "value", "up")), tmp_path / "adapter")
    values = json.loads((tmp_path / "adapter" / ADAPTER).read_text())
    assert values["target_modules"] == ["c_attn", "c_fc"]
    ranks = {"c_attn": 6, "c_fc": 3} | values["rank_pattern"]
    assert (ranks, {values["r"]} | set(values["rank_pattern"].values())) == ({"c_attn": 6, "c_fc": 3}, {3, 6})
    b = load_file(tmp_path / "adapter" / WEIGHTS)["base_model.model.transformer.h.0.attn.c_attn.lora_B.weight"]
    places = {(rows, columns): b[rows : rows + 32, columns : columns + 3] for rows in (0, 32, 64) for columns in (0, 3)}
    assert {place for place, part in places.items() if part.any()} == {(0, 0), (64, 3)}
    assert all(places[place].all() for place in ((0, 0), (64, 3)))


def test_an_older_adapter_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    save_adapter(adapted(targets=("up",)), folder)
    (folder / "README.md").write_text("mine")
    (folder / "adapter_model.bin").write_bytes(b"\x80\x02")
    save_adapter(adapted(targets=("down",)), folder)
    assert {path.name for path in folder.iterdir()} == {ADAPTER, WEIGHTS, OURS, "README.md"}
    assert load_adapter(make_model("gpt2"), folder).targets == ("down",)


def test_an_adapter_is_not_written_over_something_else(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    save_model(make_model("gpt2"), byte_tokenizer, tmp_path / "model")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    for name in ("model", "notes"):
        with pytest.raises(InputError, match=f"{name} is there already and is no adapter's folder.*choose another"):
            save_adapter(adapted(), tmp_path / name)
    with pytest.raises(InputError, match="the network has no adapter; add one first"):
        save_adapter(make_model("gpt2"), tmp_path / "adapter")


def test_a_model_that_is_saved_with_its_adapter_is_a_plain_one(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    model = adapted("qwen3", targets=("query", "gate"))
    save_model(model, byte_tokenizer, tmp_path / "model")
    assert lora_state(model)
    found = load_model(tmp_path / "model").eval()
    torch.testing.assert_close(logits(found), logits(model), atol=1e-4, rtol=0)
    merge_lora(model)
    assert torch.equal(logits(found), logits(model))


def test_an_adapter_of_another_base_is_refused_by_shape_and_by_hash(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    save_adapter(adapted(), folder, base="their/base")
    fix = "name the model that it was made for: their/base"
    wider = make_model("gpt2", hidden_size=40)
    with pytest.raises(
        InputError, match=f"another model: its transformer.h.0.attn.c_attn is 96 x 32, here 120 x 40; {fix}"
    ):
        load_adapter(wider, folder)
    with pytest.raises(InputError, match="it adapts transformer.h.0.attn.c_attn, here a qwen3 model without it"):
        load_adapter(make_model("qwen3"), folder)
    shallow = make_model("gpt2", num_layers=1)
    with pytest.raises(InputError, match="it adapts transformer.h.1.attn.c_attn, here"):
        load_adapter(shallow, folder)
    other = make_model("gpt2")
    with torch.no_grad():
        other.blocks[0].get_parameter("mlp.up.bias")[0] += 1e-3  # type: ignore[operator,index]
    with pytest.raises(InputError, match=f"the weights that it was made for have the hash [0-9a-f]{{12}}, here.*{fix}"):
        load_adapter(other, folder)
    assert not any(map(lora_state, (wider, shallow, other)))
    # Trained on by another program, it is no more the one that the hash was written with.
    tensors = {name: tensor + 0.5 for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS)
    load_adapter(other, folder)
    with pytest.raises(InputError, match="has an adapter already"):
        load_adapter(other, folder)


def config(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / ADAPTER
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def tensors(**changes: torch.Tensor | None) -> Change:
    """Tensors of the first block's ``c_attn`` more, others or none."""

    def change(folder: Path) -> None:
        held = load_file(folder / WEIGHTS)
        for name, tensor in changes.items():
            key = f"base_model.model.transformer.h.0.attn.c_attn.{name.replace('__', '.')}"
            held.pop(key, None)
            if tensor is not None:
                held[key] = tensor
        save_file(held, folder / WEIGHTS)

    return change


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")


def head_adapted(folder: Path) -> None:
    held = load_file(folder / WEIGHTS)
    for which, shape in {"A": (3, 32), "B": (257, 3)}.items():
        held[f"base_model.model.lm_head.lora_{which}.weight"] = torch.ones(shape)
    save_file(held, folder / WEIGHTS)


def cut_off(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-100])


WRONG: dict[str, tuple[Change, str]] = {
    "DoRA": (config(use_dora=True), r"use_dora = True; in .*adapter_config.json; expected a LoRA without it; fold it"),
    "modules": (config(modules_to_save=["lm_head"]), r"modules_to_save = \['lm_head'\]"),
    "biases": (config(bias="lora_only"), r"bias = 'lora_only'; in .*; expected 'none'"),
    "biases of B": (config(lora_bias=True), r"lora_bias = True"),
    "tokens": (config(trainable_token_indices=[1, 2]), r"trainable_token_indices = \[1, 2\]"),
    "parameters": (config(target_parameters=["a.b"]), r"target_parameters = \['a.b'\]"),
    "layers twice": (config(layer_replication=[[0, 1]]), r"layer_replication = "),
    "PiSSA": (config(init_lora_weights="pissa"), r"init_lora_weights = 'pissa'; in .*; expected True or False or"),
    "a later key": (config(use_newest_lora={"a": 1}), r"use_newest_lora = \{'a': 1\}"),
    "another kind": (config(peft_type="IA3"), r"peft_type = 'IA3'; in .*; expected 'LORA'"),
    "another purpose": (config(task_type="SEQ_CLS"), r"task_type = 'SEQ_CLS'; in .*; expected 'CAUSAL_LM' or None"),
    "a pattern": (config(rank_pattern={"h.[01].*": 3}), r"the pattern 'h.\[01\].\*'"),
    "no rank": (config(r=0), r"r = 0; in .*adapter_config.json; expected greater than or equal to 1"),
    "another rank": (config(r=4), r"transformer.h.0.attn.c_attn has rank 3; .*; expected 4, by adapter_config.json"),
    "an alpha of words": (config(lora_alpha="many"), r"lora_alpha = 'many'"),
    "no JSON": (lambda folder: (folder / ADAPTER).write_text("{"), r"not valid JSON.*adapter_config.json"),
    "no object": (lambda folder: (folder / ADAPTER).write_text("[]"), r"not a JSON object.*adapter_config.json"),
    "a pickle": (pickled, r"adapter_model.bin is a pickle.*expected adapter_model.safetensors.*load it with peft"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), r"no adapter_model.safetensors in"),
    "cut off": (cut_off, r"not a whole safetensors file.*adapter_model.safetensors"),
    "half a pair": (tensors(lora_B__weight=None), r"c_attn.lora_B.weight is missing"),
    "two ranks": (
        tensors(lora_A__weight=torch.ones(2, 32)),
        r"lora_A and lora_B of .* are \[2, 32\] and \[96, 3\]",
    ),
    "not finite": (tensors(lora_A__weight=torch.full((3, 32), torch.nan)), r"lora_A.weight' has values that are not"),
    "whole numbers": (tensors(lora_A__weight=torch.ones(3, 32, dtype=torch.int64)), r"is torch.int64 \[3, 32\]"),
    "a magnitude": (tensors(lora_magnitude_vector=torch.ones(96)), r"lora_magnitude_vector' is no matrix of a linear"),
    "an embedding": (
        tensors(lora_embedding_A=torch.ones(3, 257)),
        r"lora_embedding_A' adapts an embedding",
    ),
    "the head": (head_adapted, r"it adapts lm_head, here a gpt2 model without it"),
    "a changed record": (lambda folder: (folder / OURS).write_text("{}"), r"textwright.json does not read"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_exactly_is_refused_by_name(name: str, tmp_path: Path) -> None:
    change, message = WRONG[name]
    folder, model = tmp_path / "adapter", make_model("gpt2")
    save_adapter(adapted(), folder)
    change(folder)
    with pytest.raises(InputError, match=message) as raised:
        load_adapter(model, folder)
    assert "\n" not in str(raised.value)
    assert not lora_state(model)


def test_a_folder_that_is_no_adapter_says_what_it_is(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    save_model(make_model("gpt2"), byte_tokenizer, tmp_path / "model")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "typo": "there is no adapter folder .*typo; check the path",
        "model": "model is a model; expected an adapter, with adapter_config.json; name it as the model",
        "empty": "no adapter_config.json in .*empty; expected the folder of an adapter",
    }.items():
        with pytest.raises(InputError, match=message):
            read_adapter(tmp_path / name)


def test_keys_of_peft_that_change_nothing_are_passed_over(tmp_path: Path) -> None:
    model, folder = adapted(), tmp_path / "adapter"
    save_adapter(model, folder)
    config(
        peft_version="0.21.0",
        loftq_config={},
        exclude_modules=["mlp.c_fc"],
        layers_to_transform=[0],
        megatron_core="megatron.core",
        qalora_group_size=16,
        init_lora_weights="gaussian",
        corda_config=None,
        use_dora=False,
    )(folder)
    again = make_model("gpt2")
    load_adapter(again, folder)
    assert torch.equal(logits(again), logits(model))
