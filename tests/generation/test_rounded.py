"""Rounded weights are kept beside the model, used only while they fit, and never in the way."""

import os
from pathlib import Path

import pytest
import torch

from textwright.api import load
from textwright.api.model import Model
from textwright.generation.request import EngineConfig
from textwright.generation.rounded import WEIGHTS, keep_rounded, read_rounded
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer

INT8 = EngineConfig(precision="int8")


@pytest.fixture
def folder(tmp_path: Path, gpt2: LanguageModel, tokenizer: Tokenizer) -> Path:
    Model(gpt2, tokenizer).save(tmp_path / "model")
    return tmp_path / "model"


def text(model: Model) -> str:
    return model.complete(["a"], engine=INT8, temperature=0, max_new_tokens=20)[0].text


def test_the_second_time_nothing_is_rounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = text(load(folder))
    assert (folder / "cache" / "int8" / WEIGHTS).is_file()
    monkeypatch.setattr("textwright.generation.cpu_decoder.pack_int8", lambda *_: pytest.fail("rounded again"))
    assert text(load(folder)) == expected


def test_changed_weights_and_damage_are_seen(folder: Path) -> None:
    text(load(folder))
    kept = folder / "cache" / "int8" / WEIGHTS
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    assert read_rounded(folder) is None
    text(load(folder))
    assert read_rounded(folder) is not None
    os.utime(folder / "model.safetensors", ns=(1, 1))
    assert read_rounded(folder) is None


def test_kept_weights_of_another_shape_are_not_read_beyond_their_end(folder: Path) -> None:
    """They are sealed, but whoever made the folder may have sealed them."""
    expected = text(load(folder))
    kept = read_rounded(folder)
    assert kept is not None
    for name in kept:
        for other in ({name: kept[name][:1]}, {name: kept[name].to(torch.float16)}, {}):
            keep_rounded(folder, {key: kept[key] for key in kept if key != name} | other)
            assert text(load(folder)) == expected, name


def test_a_model_that_was_trained_since_is_rounded_anew_and_not_kept(folder: Path) -> None:
    model = load(folder)
    with torch.no_grad():
        model.network.head_weight.mul_(-1)
    decoder = model.decoder(INT8)
    assert not (folder / "cache").exists()
    assert decoder.width == model.network.width


def test_a_folder_that_cannot_be_written_does_no_harm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("textwright.generation.rounded.write_safetensors", refuse)
    assert text(load(folder)) == text(load(folder))
    assert read_rounded(folder) is None
    assert not list((folder / "cache").iterdir())
