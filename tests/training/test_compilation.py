"""Compiled training is the same training, in a process without the type checks that the tests put around every call."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from textwright.core.caches import keep_compiled_code
from textwright.models.language_model import LanguageModel
from textwright.training.callbacks import Callbacks
from textwright.training.compilation import COMPILING, NO_COMPILER
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss
from textwright.training.resolve_config import prepare_step

# Of matrices of 512 x 128 on, the optimizer's pass is compiled too.
PROGRAM = """
import pathlib, sys
import numpy, torch
from textwright.data.dataset import DataSplits, TokenDataset
from textwright.checkpoint.model_folder import load_model, save_model
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer
from textwright.training.config import TrainConfig
from textwright.training import loop
from textwright.training.from_config import add_loss, make_batches

torch.set_num_threads(1)
ids = numpy.cumsum(numpy.random.default_rng(0).integers(0, 3, 4000)) % 60
data = DataSplits(train=TokenDataset.from_documents([ids]), val=None)
shape = {"num_layers": 3, "hidden_size": 128, "num_heads": 2, "num_key_value_heads": 2, "head_dim": 64}
shape["intermediate_size"] = 512
tokenizer = make_tokenizer("byte", lambda: iter(()))
for name in ("nano", "gpt1", "qwen3-nano"):
    folder = pathlib.Path(sys.argv[1]) / name
    config = preset(name, vocab_size=257, context_length=16).model_copy(update=shape)
    save_model(build(config, seed=0), tokenizer, folder)
    weights, losses = [], []
    for compiled in (False, True):
        model = load_model(folder)
        common = {"steps": 5, "batch_size": 4, "micro_batch_size": 4, "sequence_length": 16,
            "precision": "float32", "optimizer": "adamw"}
        config = TrainConfig(compile=compiled, **common)
        batches = make_batches(data.train, config, 16)
        losses.append(loop.train(add_loss(model, config), batches, config).last_loss_nats)
        weights.append(model.state_dict())
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, atol=1e-4, rtol=1e-3)
    assert abs(losses[0] - losses[1]) < 1e-4, losses
print("same", torch._dynamo.utils.counters["frames"]["ok"])
"""


def test_compiled_training_of_a_model_that_was_read_learns_what_eager_training_learns(tmp_path: Path) -> None:
    done = run_compiled(PROGRAM, str(tmp_path))
    assert done.returncode == 0, done.stderr
    # One frame for each family, not one for each of its three layers; one for what is done to the logits, one for the
    # optimizer's pass.
    assert done.stdout == "same 5\n"


LOSS_OF_SOME = """
import torch
from textwright.models.catalog import build
from textwright.models.presets import preset

torch.set_num_threads(1)
model = build(preset("nano", vocab_size=257), seed=0)
hidden, targets = torch.randn(4, 16, model.hidden_size), torch.randint(0, 257, (4, 16))
some = [torch.zeros(64).index_fill(0, torch.randperm(64)[:count], 1.0).view(4, 16) for count in range(20, 32)]
plain = [model.loss(hidden, targets, weights) for weights in some]
model.compile_for_training()
for weights, expected in zip(some, plain, strict=True):
    torch.testing.assert_close(model.loss(hidden, targets, weights), expected)
print(torch._dynamo.utils.counters["frames"]["ok"])
"""


def test_the_loss_is_compiled_once_however_many_tokens_are_learned() -> None:
    """As those of pairs: for each number of them anew would take seconds a step, and torch gives up after eight."""
    done = run_compiled(LOSS_OF_SOME)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def run_compiled(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own; the test is skipped where nothing can be compiled."""
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        pytest.skip("needs a C++ compiler")
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)


def test_a_long_run_is_compiled_where_it_can_be_and_says_so(
    make_model: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    callbacks = Callbacks(on_note=said.append)
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/g++")
    for config, compiles in (
        (TrainConfig(steps=10), False),
        (TrainConfig(steps=10**9), True),
        (TrainConfig(steps=10**9, compile=False), False),
        (TrainConfig(minutes=1), False),
        (TrainConfig(minutes=60), True),
    ):
        assert prepare_step(add_loss(make_model(), config), config, callbacks).compile is compiles
    assert said == [COMPILING, COMPILING]


def test_without_a_compiler_a_long_run_goes_on_as_it_is_and_says_so(
    make_model: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(shutil, "which", lambda _: None)
    config = TrainConfig(minutes=60)
    assert prepare_step(add_loss(make_model(), config), config, Callbacks(on_note=said.append)).compile is False
    assert said == [NO_COMPILER]


def test_compiled_code_is_kept_where_only_its_user_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    keep_compiled_code()
    folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert folder.is_relative_to(tmp_path)
    assert folder.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/chosen")
    keep_compiled_code()
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/chosen"


WITHOUT_COMPILER = """
import sys
import torch
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.presets import preset

model = build(preset("nano", vocab_size=257, context_length=256), seed=0)
batch = Batch.from_ids(torch.randint(0, 257, (4, 257)))
for dtype in (torch.float32, torch.bfloat16):
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
        model.loss(model.hidden_states(model.embed(batch), batch), batch.target_ids, batch.loss_weight).backward()
print("torch._dynamo" in sys.modules)
"""


def test_what_is_not_compiled_does_not_load_the_compiler() -> None:
    """It takes a second or two of every start, and some eighty megabytes."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_COMPILER], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr
