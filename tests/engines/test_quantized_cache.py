"""Rounded weights are kept beside the model, used only while they fit, and never in the way."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from textwright.api import load
from textwright.api.model import Model
from textwright.checkpoint.model_files import ModelFiles
from textwright.core.sealed import seal, unseal
from textwright.engines.config import EngineConfig
from textwright.engines.cpu.quantized_cache import MANIFEST, WEIGHTS, read_quantized, save_quantized
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer

INT8 = EngineConfig(precision="int8")


@pytest.fixture
def folder(tmp_path: Path, gpt2: LanguageModel, tokenizer: Tokenizer) -> Path:
    Model(gpt2, tokenizer).save(tmp_path / "model")
    return tmp_path / "model"


def text(model: Model) -> str:
    return model.complete(["a"], engine=INT8, temperature=0, max_new_tokens=20)[0].text


def kept_of(folder: Path) -> dict[str, torch.Tensor] | None:
    return read_quantized(ModelFiles.of(folder))


def edit_weights(folder: Path) -> None:
    """Other weights of the same size, which look older than what is beside them."""
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


def test_the_second_time_nothing_is_rounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = text(load(folder))
    assert (folder / "cache" / "int8" / WEIGHTS).is_file()
    monkeypatch.setattr("textwright.engines.cpu.decoder.pack_int8", lambda *_: pytest.fail("rounded again"))
    assert text(load(folder)) == expected


def test_changed_weights_and_damage_are_seen(folder: Path) -> None:
    text(load(folder))
    kept = folder / "cache" / "int8" / WEIGHTS
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert kept_of(folder) is None
    text(load(folder))
    assert kept_of(folder) is not None
    edit_weights(folder)
    assert kept_of(folder) is None


def test_a_copied_folder_is_hashed_once_and_needs_no_rounding(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text(load(folder))
    of = unseal((folder / "cache" / "int8" / MANIFEST).read_text())["of"]
    written = unseal((folder / "textwright.json").read_text())["files"]
    assert {name: facts["sha256"] for name, facts in of.items()} == {name: written[name]["sha256"] for name in of}

    copy = shutil.copytree(folder, tmp_path / "copy")
    os.utime(copy / "model.safetensors", ns=(1, 1))
    assert kept_of(copy) is not None
    monkeypatch.setattr("textwright.checkpoint.model_files.sha256_file", lambda _: pytest.fail("hashed again"))
    assert kept_of(copy) is not None
    assert kept_of(folder) is not None


def test_a_foreign_folder_is_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "textwright.json").unlink()
    expected = text(load(folder))
    monkeypatch.setattr("textwright.checkpoint.model_files.sha256_file", lambda _: pytest.fail("hashed again"))
    monkeypatch.setattr("textwright.engines.cpu.decoder.pack_int8", lambda *_: pytest.fail("rounded again"))
    assert text(load(folder)) == expected


def test_nothing_is_kept_of_weights_that_another_program_replaced_meanwhile(folder: Path) -> None:
    read = ModelFiles.of(folder)
    edit_weights(folder)
    save_quantized(read, {"head": torch.zeros(1)})
    assert not (folder / "cache").exists()


@pytest.mark.parametrize("of", [None, [], {"config.json": None}, {"config.json": [1, 2]}, {"config.json": {}}])
def test_a_manifest_of_another_shape_is_not_read(folder: Path, of: object) -> None:
    expected = text(load(folder))
    manifest = folder / "cache" / "int8" / MANIFEST
    manifest.write_text(seal(unseal(manifest.read_text()) | {"of": of}))
    assert kept_of(folder) is None
    assert text(load(folder)) == expected


def test_kept_weights_of_another_shape_are_not_read_beyond_their_end(folder: Path) -> None:
    """They are sealed, but whoever made the folder may have sealed them."""
    expected = text(load(folder))
    kept = kept_of(folder)
    assert kept is not None
    for name in kept:
        for other in ({name: kept[name][:1]}, {name: kept[name].to(torch.float16)}, {}):
            save_quantized(ModelFiles.of(folder), {key: kept[key] for key in kept if key != name} | other)
            assert text(load(folder)) == expected, name


def test_a_model_that_was_trained_since_is_rounded_anew_and_not_kept(folder: Path) -> None:
    model = load(folder)
    with torch.no_grad():
        model.network.head_weight.mul_(-1)
    decoder = model.decoder(INT8)
    assert not (folder / "cache").exists()
    assert decoder.hidden_size == model.network.hidden_size


def test_a_folder_that_cannot_be_written_does_no_harm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("textwright.engines.cpu.quantized_cache.write_safetensors", refuse)
    assert text(load(folder)) == text(load(folder))
    assert kept_of(folder) is None
    assert not list((folder / "cache").iterdir())
