"""A model folder that is not whole, not honest or not ours is refused by name; a save leaves nothing half."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from textwright.checkpoint.model_folder import (
    add_facts,
    damage_of_model,
    load_folder,
    load_model,
    read_dialogue,
    read_facts,
    save_model,
)
from textwright.core.errors import InputError
from textwright.models.catalog import build
from textwright.models.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.models.presets import preset
from textwright.text.dialogue import DialogueFormat
from textwright.tokens import Tokenizer

SHAPE = {"vocab_size": 257, "context_length": 16, "num_layers": 2, "num_heads": 2, "width": 16}
QWEN3 = SHAPE | {"family": "modern", "positions": "rotary", "activation": "silu", "norm_epsilon": 1e-6}


@pytest.fixture
def model() -> LanguageModel:
    return build(GPTConfig.model_validate(SHAPE))


@pytest.fixture
def folder(tmp_path: Path, model: LanguageModel, byte_tokenizer: Tokenizer) -> Path:
    save_model(model, byte_tokenizer, tmp_path / "model", facts={"run": "here"})
    return tmp_path / "model"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")


def test_a_folder_holds_the_files_that_hugging_face_folders_hold(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "textwright.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert read_facts(folder) == {"run": "here"}
    assert json.loads((folder / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [SHAPE, SHAPE | {"family": "gpt1"}, QWEN3], ids=["gpt2", "gpt1", "modern"])
def test_every_weight_that_was_read_lies_in_memory_row_by_row(
    tmp_path: Path, byte_tokenizer: Tokenizer, shape: dict[str, Any], dtype: str
) -> None:
    save_model(build(GPTConfig.model_validate(shape)), byte_tokenizer, tmp_path / "model", dtype=dtype)
    read = load_model(tmp_path / "model").named_parameters()
    assert [name for name, parameter in read if not parameter.is_contiguous()] == []


def test_facts_can_be_added(folder: Path) -> None:
    add_facts(folder, {"measured": 1})
    assert read_facts(folder) == {"run": "here", "measured": 1}
    assert damage_of_model(folder) is None
    (folder / "textwright.json").unlink()
    with pytest.raises(InputError, match=r"textwright.json does not read"):
        add_facts(folder, {"measured": 2})


def test_saving_again_replaces_the_folder_and_leaves_no_scraps(
    folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer
) -> None:
    (folder / "old.txt").write_text("from before")
    save_model(model, byte_tokenizer, folder)
    assert not (folder / "old.txt").exists()
    assert os.listdir(folder.parent) == ["model"]


def test_a_folder_that_is_no_model_is_never_replaced(
    tmp_path: Path, model: LanguageModel, byte_tokenizer: Tokenizer
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is no model folder"):
        save_model(model, byte_tokenizer, tmp_path / "precious")
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"


def test_a_save_that_fails_half_way_leaves_the_old_folder(
    folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "model.safetensors").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(byte_tokenizer), "save", fail)
    with torch.no_grad():
        model.head_weight.add_(1)
    with pytest.raises(OSError, match="No space"):
        save_model(model, byte_tokenizer, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert os.listdir(folder.parent) == ["model"]


def test_an_unknown_dtype_and_weights_beyond_float16_are_refused(
    tmp_path: Path, model: LanguageModel, byte_tokenizer: Tokenizer
) -> None:
    with pytest.raises(InputError, match="dtype 'int8'; expected one of float32, bfloat16, float16"):
        save_model(model, byte_tokenizer, tmp_path / "a", dtype="int8")
    with torch.no_grad():
        model.head_weight[0, 0] = 1e6
    with pytest.raises(InputError, match="values beyond float16; save in bfloat16 or float32"):
        save_model(model, byte_tokenizer, tmp_path / "b", dtype="float16")
    assert list(tmp_path.iterdir()) == []


KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "a typo": ({"n_emdb": 32}, "unknown key 'n_emdb'.*did you mean 'n_embd'"),
    "a stranger": ({"mixture_of_experts": 8}, "unknown key 'mixture_of_experts'"),
    "an activation": ({"activation_function": "mish"}, "the activation 'mish'"),
    "cross attention": ({"add_cross_attention": True}, "add_cross_attention = True changes the maths"),
    "rope scaling": ({"rope_scaling": {"type": "yarn"}}, "rope_scaling = .* changes the maths"),
    "quantised": ({"quantization_config": {"bits": 4}}, "quantization_config = .* changes the maths"),
    "code": ({"auto_map": {"AutoModel": "evil.py"}}, "auto_map asks to run code"),
    "another model": ({"model_type": "llama"}, "model_type 'llama'.*expected one of gpt2, openai-gpt, qwen3"),
    "a number as text": ({"n_layer": "two"}, "num_layers"),
    "no layers": ({"n_layer": 0}, "num_layers"),
    "not finite": ({"layer_norm_epsilon": float("nan")}, "norm_epsilon"),
    "heads that do not divide": ({"n_head": 3}, "width 16 is not a multiple of num_heads 3"),
    "far too large": ({"n_embd": 1 << 40}, "width"),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_config_key_that_we_would_not_compute_is_refused_by_name(folder: Path, name: str) -> None:
    changes, message = KEYS[name]
    edit(folder / "config.json", lambda config: config.update(changes))
    with pytest.raises(InputError, match=message) as caught:
        load_model(folder)
    assert "config.json" in str(caught.value) or str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_sliding_window": True, "sliding_window": 8}, "changes the maths"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "layer_types = .* changes the maths"),
        ({"attention_bias": True}, "attention_bias = True changes the maths"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_parameters = .* changes the maths"),
    ],
)
def test_qwen3_keys_that_change_the_maths_are_refused(
    tmp_path: Path, byte_tokenizer: Tokenizer, changes: dict[str, Any], message: str
) -> None:
    save_model(build(GPTConfig.model_validate(QWEN3)), byte_tokenizer, tmp_path / "model")
    load_model(tmp_path / "model")
    edit(tmp_path / "model" / "config.json", lambda config: config.update(changes))
    with pytest.raises(InputError, match=message):
        load_model(tmp_path / "model")


TENSORS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "missing": (lambda t: t.pop("transformer.h.1.mlp.c_fc.bias"), r"transformer\.h\.1\.mlp\.c_fc\.bias' is missing"),
    "unexpected": (lambda t: t.update({"transformer.h.0.extra.weight": torch.ones(2)}), r"h\.0\.extra\.weight'"),
    "a layer too many": (
        lambda t: t.update({"transformer.h.2.ln_1.weight": torch.ones(16)}),
        r"unexpected tensor 'transformer\.h\.2\.ln_1\.weight'",
    ),
    "another shape": (
        lambda t: t.update({"transformer.wpe.weight": torch.ones(8, 16)}),
        r"wpe\.weight' has the shape \[8, 16\].*expected \[16, 16\]",
    ),
    "another head": (
        lambda t: t.update({"lm_head.weight": torch.zeros(257, 16)}),
        "lm_head.weight is not the token embedding.*set tie_word_embeddings to false",
    ),
    "whole numbers": (
        lambda t: t.update({"transformer.wte.weight": torch.ones(257, 16, dtype=torch.float64)}),
        r"wte\.weight' is torch\.float64",
    ),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_that_is_missing_unexpected_or_misshapen_is_refused_by_name(folder: Path, name: str) -> None:
    change, message = TENSORS[name]
    edit_tensors(folder, change)
    with pytest.raises(InputError, match=message):
        load_model(folder)


def test_files_that_are_not_what_they_say_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548118077\n"
    for raw, message in (
        (b"", "has 0 bytes"),
        (lfs, "is a Git LFS pointer, not the file; run git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page"),
        (pickle.dumps({"a": 1}), "is a pickle under another name|not a whole safetensors file"),
        (b"PK\x03\x04" + bytes(100), "is a pickle under another name"),
        (whole[: len(whole) // 2], "not a whole safetensors file"),
        (whole[:100], "not a whole safetensors file"),
        ((1 << 62).to_bytes(8, "little") + whole[8:], "not a whole safetensors file"),
        (whole[:8] + b"{" * 50 + whole[58:], "not a whole safetensors file"),
    ):
        path.write_bytes(raw)
        with pytest.raises(InputError, match=message) as caught:
            load_model(folder)
        assert "model.safetensors" in str(caught.value)


def test_a_pickle_is_answered_with_how_to_convert_it(folder: Path) -> None:
    (folder / "model.safetensors").unlink()

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(folder / "exploded"),))

    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match=r"pytorch_model\.bin is a pickle.*save_pretrained"):
        load_model(folder)
    assert not (folder / "exploded").exists()


def test_an_index_cannot_lead_out_of_the_folder(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    for name in ("../outside.safetensors", str(folder.parent / "outside.safetensors"), "sub/x.safetensors", 5):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(InputError, match="index"):
            load_model(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(InputError, match=r"gone\.safetensors is missing"):
        load_model(folder)


@pytest.mark.parametrize("content", ["", "[]", "nothing", "[" * 100_000, '{"model_type": "gpt2"'])
def test_a_config_that_does_not_read_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        load_model(folder)


def test_places_without_a_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no model folder"):
        load_folder(tmp_path / "missing")
    with pytest.raises(InputError, match=r"no config\.json"):
        load_folder(tmp_path)


def test_a_vocabulary_that_is_too_large_for_the_model_is_refused(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    save_model(build(GPTConfig.model_validate(SHAPE | {"vocab_size": 100})), byte_tokenizer, tmp_path / "model")
    with pytest.raises(InputError, match="the tokenizer has 257 tokens, the model 100"):
        load_folder(tmp_path / "model")


def test_positions_that_say_sinusoidal_but_are_not_are_refused(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    model = build(preset("nano", vocab_size=257, positions="sinusoidal"))
    save_model(model, byte_tokenizer, tmp_path / "model")
    edit_tensors(tmp_path / "model", lambda t: t["transformer.wpe.weight"].add_(1))
    with pytest.raises(InputError, match="the positions are not sinusoidal.*remove textwright.json"):
        load_model(tmp_path / "model")
    (tmp_path / "model" / "textwright.json").unlink()
    assert load_model(tmp_path / "model").config.positions == "learned"


def test_a_folder_of_a_newer_textwright_says_so(folder: Path) -> None:
    edit(folder / "textwright.json", lambda content: content.update(version=99))
    with pytest.raises(InputError, match="format version 99.*use a newer Textwright"):
        load_model(folder)


def test_a_format_of_dialogues_is_kept_and_checked(
    folder: Path, tmp_path: Path, model: LanguageModel, byte_tokenizer: Tokenizer
) -> None:
    assert read_dialogue(folder) is None
    style = DialogueFormat(user="<月>", turn_end="<end>")
    save_model(model, byte_tokenizer, tmp_path / "talks", dialogue=style)
    assert read_dialogue(tmp_path / "talks") == style
    assert damage_of_model(tmp_path / "talks") is None
    edit(tmp_path / "talks" / "textwright.json", lambda content: content["dialogue"].update(templates="{{ evil }}"))
    with pytest.raises(InputError, match="unknown key 'templates'"):
        read_dialogue(tmp_path / "talks")
