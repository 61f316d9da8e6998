"""A model folder that is not whole, not honest or not ours is refused by name; a save leaves nothing half."""

import ctypes
import errno
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.checkpoint.conftest import our_logits
from textwright.checkpoint.model_folder import (
    add_facts,
    damage_of_model,
    load_folder,
    load_model,
    read_dialogue,
    read_facts,
    save_model,
)
from textwright.core import files
from textwright.core.errors import InputError
from textwright.engines.catalog import choose_engine
from textwright.engines.config import EngineConfig
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.models.presets import preset
from textwright.text.dialogue import DialogueFormat
from textwright.tokens import Tokenizer

SHAPE = {"vocab_size": 257, "context_length": 16, "num_layers": 2, "num_heads": 2, "hidden_size": 16}
QWEN3 = SHAPE | {"family": "qwen3", "position_encoding": "rotary", "activation": "silu", "norm_eps": 1e-6}


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
@pytest.mark.parametrize("shape", [SHAPE, SHAPE | {"family": "gpt1"}, QWEN3], ids=["gpt2", "gpt1", "qwen3"])
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


def test_saving_again_replaces_the_model_and_nothing_else(
    folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer
) -> None:
    stays = ["README.md", "LICENSE", ".git/refs/heads/main", "cache/notes.txt", "onnx/model.onnx", "64.tflite", "h.bin"]
    stays += ["original/config.json", "adapter_model.safetensors", "vocab.txt"]
    goes = ["pytorch_model.bin", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "merges.txt"]
    goes += ["vocab.json", "special_tokens_map.json", "chat_template.jinja", "pytorch_model-00001-of-00003.bin"]
    goes += ["cache/int8/cache.json", "cache/.int8.abc.tmp/half"]
    for name in stays + goes:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"from before: {name}")
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("README.md")
    (folder / "run.sh").write_text("true")
    (folder / "run.sh").chmod(0o750)
    folder.chmod(0o750)
    inode = (folder / "README.md").stat().st_ino
    with torch.no_grad():
        model.head_weight.add_(1)
    save_model(model, byte_tokenizer, folder)
    assert {name: (folder / name).read_text() for name in stays} == {name: f"from before: {name}" for name in stays}
    assert [name for name in goes if (folder / name).exists()] == []
    assert (folder / "empty").is_dir()
    assert os.readlink(folder / "link") == "README.md"
    assert (folder / "README.md").stat().st_ino == inode
    assert [(folder / name).stat().st_mode & 0o777 for name in ("run.sh", "")] == [0o750, 0o750]
    assert torch.equal(load_model(folder).head_weight, model.head_weight)
    assert damage_of_model(folder) is None
    assert os.listdir(folder.parent) == ["model"]


def test_a_cache_that_held_only_the_older_weights_goes_with_them(
    folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer
) -> None:
    (folder / "cache" / "int8").mkdir(parents=True)
    save_model(model, byte_tokenizer, folder)
    assert not (folder / "cache").exists()


def test_what_is_written_into_the_folder_during_a_save_stays(
    folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "README.md").write_text("first")
    exchange = files._exchange

    def edit_first(new: Path, final: Path) -> None:
        (final / "notes.txt").write_text("new")
        (final / "second.md").write_text("second")
        (final / "second.md").replace(final / "README.md")
        exchange(new, final)

    monkeypatch.setattr(files, "_exchange", edit_first)
    save_model(model, byte_tokenizer, folder)
    assert [(folder / name).read_text() for name in ("notes.txt", "README.md")] == ["new", "second"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EINVAL])
def test_other_files_stay_where_the_file_system_has_no_links_and_no_exchange(
    folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, "not here")

    class NoLibrary:
        pass

    (folder / "README.md").write_text("from before")
    (folder / "link").symlink_to("README.md")
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: NoLibrary())
    save_model(model, byte_tokenizer, folder)
    assert (folder / "README.md").read_text() == (folder / "link").read_text() == "from before"
    assert damage_of_model(folder) is None
    assert os.listdir(folder.parent) == ["model"]


def test_a_link_to_a_model_folder_is_followed(folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer) -> None:
    (folder.parent / "current").symlink_to("model")
    (folder / "README.md").write_text("mine")
    with torch.no_grad():
        model.head_weight.add_(1)
    save_model(model, byte_tokenizer, folder.parent / "current")
    assert (folder.parent / "current").is_symlink()
    assert torch.equal(load_model(folder).head_weight, model.head_weight)
    assert (folder / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    "content", ['{"name": "my-site", "port": 80}', '{"model_type": 3}', "[]", "not JSON", '{"model": {}}']
)
def test_a_config_json_of_another_program_makes_no_model_folder(
    tmp_path: Path, model: LanguageModel, byte_tokenizer: Tokenizer, content: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"is there already and is no model folder.*model_type") as caught:
        save_model(model, byte_tokenizer, tmp_path / "site")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "site" / "config.json").read_text() == content


def test_a_folder_with_a_models_name_for_a_file_is_not_deleted(
    folder: Path, model: LanguageModel, byte_tokenizer: Tokenizer
) -> None:
    (folder / "merges.txt").mkdir()
    (folder / "merges.txt" / "mine").write_text("x")
    with pytest.raises(InputError, match=r"merges\.txt is a folder.*move it away"):
        save_model(model, byte_tokenizer, folder)
    assert (folder / "merges.txt" / "mine").is_file()


# Forks before each trial: a child is killed at its n-th act on files, as Python's audit events tell them.
KILLED = """
import os, pathlib, shutil, signal, sys
import torch
from textwright.checkpoint.model_folder import damage_of_model, load_model, save_model
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.tokens import make_tokenizer

torch.set_num_threads(1)
root = pathlib.Path(sys.argv[1])
shape = {"vocab_size": 257, "context_length": 16, "num_layers": 1, "num_heads": 2, "hidden_size": 16}
models = [build(GPTConfig.model_validate(shape), seed=seed) for seed in (0, 1)]
tokenizer = make_tokenizer("byte", lambda: iter(()))
theirs = {"README.md": "read me", ".git/HEAD": "ref", ".git/objects/00": "blob", "LICENSE": "free"}
save_model(models[0], tokenizer, root / "first" / "model")
for name, text in theirs.items():
    path = root / "first" / "model" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
ACTS = ("open", "os.link", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.scandir", "ctypes.dlsym")

def trial(number):
    root_of = root / str(number)
    shutil.copytree(root / "first", root_of)
    child = os.fork()
    if child == 0:
        done = 0
        def count(event, arguments):
            nonlocal done
            if event in ACTS:
                done += 1
                if done == number:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        save_model(models[1], tokenizer, root_of / "model")
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -9), status
    folder = root_of / "model"
    assert {name: (folder / name).read_text() for name in theirs} == theirs, number
    assert damage_of_model(folder) is None, number
    found = load_model(folder).head_weight
    new = torch.equal(found, models[1].head_weight)
    assert new or torch.equal(found, models[0].head_weight), number
    save_model(models[1], tokenizer, folder)
    assert {name: (folder / name).read_text() for name in theirs} == theirs, number
    shutil.rmtree(root_of)
    return status, new

outcomes, number = [], 0
while not outcomes or outcomes[-1][0] != 0:
    number += 1
    outcomes.append(trial(number))
print(number, sorted(set(outcomes)))
"""


def test_a_save_that_is_killed_at_any_act_leaves_one_whole_model_and_all_other_files(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    number, outcomes = done.stdout.split(" ", 1)
    assert int(number) > 40
    assert outcomes == "[(-9, False), (-9, True), (0, True)]\n"


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
    "not finite": ({"layer_norm_epsilon": float("nan")}, "norm_eps"),
    "heads that do not divide": ({"n_head": 3}, "hidden_size 16 is not a multiple of num_heads 3"),
    "far too large": ({"n_embd": 1 << 40}, "hidden_size"),
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
    model = build(preset("nano", vocab_size=257, position_encoding="sinusoidal"))
    save_model(model, byte_tokenizer, tmp_path / "model")
    edit_tensors(tmp_path / "model", lambda t: t["transformer.wpe.weight"].add_(1))
    with pytest.raises(InputError, match="the positions are not sinusoidal.*remove textwright.json"):
        load_model(tmp_path / "model")
    (tmp_path / "model" / "textwright.json").unlink()
    assert load_model(tmp_path / "model").config.position_encoding == "learned"


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


MIXTURES: dict[str, dict[str, object]] = {
    "rotary": {"position_encoding": "rotary"},
    "no positions": {"position_encoding": "none"},
    "post-norm": {"norm_position": "post"},
    "gated": {"mlp": "gated", "bias": False},
    "shared heads": {"num_key_value_heads": 1},
    "gpt1's exact gelu": {"family": "gpt1", "activation": "gelu"},
    "qwen3 with learned positions": {"family": "qwen3", "normalises_queries_and_keys": False},
}


@pytest.mark.parametrize("name", MIXTURES)
def test_what_no_foreign_format_can_say_is_saved_under_a_model_type_of_ours(
    name: str, tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    model = build(GPTConfig.model_validate(SHAPE | MIXTURES[name]), seed=3)
    save_model(model, byte_tokenizer, tmp_path / "model")
    assert json.loads((tmp_path / "model/config.json").read_text())["model_type"] == "textwright-gpt"
    again = load_model(tmp_path / "model")
    assert again.config == model.config
    assert damage_of_model(tmp_path / "model") is None
    ids = torch.arange(8)[None]
    assert torch.equal(our_logits(again, ids), our_logits(model, ids))
    assert choose_engine(again, EngineConfig()) == ("cpu" if name == "shared heads" else "torch")


def test_a_key_that_a_model_of_ours_does_not_have_is_refused(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    save_model(build(GPTConfig.model_validate(SHAPE | MIXTURES["rotary"])), byte_tokenizer, tmp_path / "model")
    path = tmp_path / "model/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"norm_positions": "post"}))
    with pytest.raises(InputError, match="unknown key 'norm_positions'.*did you mean 'norm_position'"):
        load_model(tmp_path / "model")
