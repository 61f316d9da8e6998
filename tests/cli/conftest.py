"""The command line in this process, and a small trained run to use it on."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from textwright.cli import main

TEXT = "The cat sat on the mat. The dog sat on the log. A bird sang in the tree, and the cat looked up.\n"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one object it must be."""
        value: dict[str, Any] = json.loads(self.out)
        return value


Run = Callable[..., Done]


@pytest.fixture
def textwright(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``textwright("train", "--steps", 3)``: what the shell would see, without starting a process."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["textwright", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, out, err)

    return run


@pytest.fixture(autouse=True)
def _short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs sample a few tokens; only ``finished_run``, made before, has whole samples, longer than its context."""
    from textwright.api import run_callbacks

    short = run_callbacks.SAMPLE.model_copy(update={"max_new_tokens": 4})
    monkeypatch.setattr(run_callbacks, "SAMPLE", short)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "cats.txt"
    path.write_text(TEXT * 60)
    return path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, text_file: Path) -> Path:
    """A run of a few steps. Tests must not change it."""
    from textwright.api import ModelOptions, RunConfig, TrainConfig
    from textwright.api.runs import train

    folder = tmp_path_factory.mktemp("runs") / "cats"
    config = RunConfig(
        data=(text_file,),
        tokenizer="byte",
        model=ModelOptions(preset="nano", context_length=32),
        # With another number of threads, as beside other programs, last bits may differ.
        training=TrainConfig(steps=8, batch_size=4, threads=1),
    )
    train(config, folder, quiet=True)
    return folder
