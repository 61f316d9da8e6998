"""What was typed for version 0.1 is answered with what is typed now."""

import dataclasses
import importlib
from pathlib import Path
from typing import Any

import pytest

import textwright as package
from textwright.api import RunConfig
from textwright.api.config import fine_tune_options
from textwright.core.config import read_config, read_toml
from textwright.core.errors import InputError
from textwright.core.renamed import CLASSES, KEYS, PRESETS, VALUES
from textwright.engines.config import EngineConfig
from textwright.generation.request import Completion, SamplingConfig
from textwright.models.catalog import presets
from textwright.models.gpt.config import GPTConfig
from textwright.models.presets import preset
from textwright.training.config import TrainConfig

CONFIGS = (TrainConfig, RunConfig, GPTConfig, SamplingConfig, EngineConfig)


def test_every_new_name_is_one_and_no_old_name_is() -> None:
    fields = {name for config in CONFIGS for name in config.model_fields}
    arguments = {"num_speculative_tokens"}
    assert {name.rpartition(".")[2] for name in KEYS.values()} <= fields | arguments
    assert not fields & set(KEYS)
    assert set(PRESETS.values()) <= set(presets())
    assert not set(PRESETS) & set(presets())
    assert all(hasattr(package, name) for name in CLASSES.values())


@pytest.mark.parametrize(
    ("toml", "answer"),
    [
        ("[training]\nrows = 4\n", "training.rows is now training.batch_size"),
        ("[training]\nsteps = 2\nclip = 2.0\n", "training.clip is now training.max_grad_norm"),
        ('[training]\nlayout = "packed"\n', "training.layout = 'packed' is now training.packing = 'documents'"),
        ('[model]\npositions = "sinusoidal"\n', "model.positions is now model.position_encoding"),
        ("evaluation_tokens = 4\n", "evaluation_tokens is now training.max_eval_tokens"),
    ],
)
def test_an_old_key_in_a_file(tmp_path: Path, toml: str, answer: str) -> None:
    (tmp_path / "my.toml").write_text(toml)
    with pytest.raises(InputError) as error:
        read_toml(RunConfig, tmp_path / "my.toml")
    assert str(error.value) == f"{answer}; in {tmp_path / 'my.toml'}"


def test_an_old_family() -> None:
    values = {
        "family": "modern",
        "vocab_size": 9,
        "context_length": 8,
        "num_layers": 1,
        "num_heads": 1,
        "hidden_size": 8,
    }
    with pytest.raises(InputError, match=r"^family = 'modern' is now family = 'qwen3'; in here$"):
        read_config(GPTConfig, values, "here")
    assert VALUES["family"]["modern"] == "qwen3"


@pytest.mark.parametrize("name", PRESETS)
def test_an_old_preset(name: str) -> None:
    with pytest.raises(InputError, match=f"^preset '{name}' is now '{PRESETS[name]}'$"):
        preset(name, vocab_size=300)


def test_an_old_argument_of_python() -> None:
    with pytest.raises(InputError, match="^num_samples is now n; in the arguments of generate$"):
        read_config(SamplingConfig, {"num_samples": 2}, "the arguments of generate")
    with pytest.raises(InputError, match="^rows is now batch_size; in the arguments of TrainConfig$"):
        TrainConfig(rows=3)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="^positions is now position_encoding; in the arguments of preset$"):
        preset("nano", vocab_size=300, positions="learned")  # type: ignore[call-arg]
    model = importlib.import_module("textwright.api.model").Model
    with pytest.raises(
        InputError, match=f"^num_drafted is now {KEYS['num_drafted']}; in the arguments of speculation$"
    ):
        model.speculation(None, num_drafted=3)
    with pytest.raises(InputError, match="^rows is now batch_size; in the arguments of fit$"):
        fine_tune_options({"rows": 3}, "the arguments of fit")


@pytest.mark.parametrize("module", [package, importlib.import_module("textwright.api")])
def test_an_old_class_of_the_package(module: Any) -> None:
    with pytest.raises(AttributeError, match="'ModelChoice'; it is now ModelOptions"):
        _ = module.ModelChoice


def test_a_completion_has_the_names_of_today() -> None:
    names = {field.name for field in dataclasses.fields(Completion)}
    assert {"finish_reason", "stop_reason", "logprob", "context_shifted"} <= names
