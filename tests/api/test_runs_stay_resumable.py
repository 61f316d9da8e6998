"""Runs go on as they were begun: whoever began them, whatever a later release's defaults are, or not a byte changes."""

import hashlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import Field

import textwright as tw
from textwright.api import ModelOptions, RunConfig, TrainConfig, runs, verify
from textwright.api.config import merge_run_config, read_for_new_run
from textwright.core.config import AS_BEFORE, read_stored
from textwright.core.errors import InputError
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.presets import preset
from textwright.runs.run_folder import Run
from textwright.tokens import make_tokenizer
from textwright.training import config as train_config
from textwright.training.config import ResolvedTrainConfig

OLD = Path(__file__).parents[1] / "fixtures" / "v0.1" / "runs"
TEXTS = ["The cat sat on the mat.", "   ", "The dog sat on the log, and the cat looked up at it.", "A bird sang."]
SHAPE = {
    "num_layers": 2,
    "hidden_size": 32,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 64,
}


def small(name: str, **choices: Any) -> GPTConfig:
    return preset(name, **choices).model_copy(update=SHAPE)


def new_model() -> tw.Model:
    tokenizer = make_tokenizer("byte", lambda: iter(TEXTS), seed=0)
    shape = small("qwen3-nano", vocab_size=tokenizer.vocab_size, context_length=32, dropout=0.1)
    return tw.Model(build(shape), tokenizer)


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """Have the signal come in the middle of a step."""
    from textwright.training import trainer

    plain, calls = trainer.train_step, iter(range(1, 1000))

    def and_then(*arguments: Any, **options: Any) -> Any:
        if next(calls) == step:
            signal.raise_signal(number)
        return plain(*arguments, **options)

    monkeypatch.setattr(trainer, "train_step", and_then)


def same(one: Path, other: Path) -> bool:
    files = [folder / "model" / "model.safetensors" for folder in (one, other)]
    return files[0].read_bytes() == files[1].read_bytes()


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``run``, a run of six steps that was interrupted in its third, and ``whole``, which was not."""
    folder = tmp_path_factory.mktemp("begun")
    text = folder / "text.txt"
    text.write_text("The cat sat on the mat. The dog sat on the log.\n" * 40)
    config = RunConfig(
        data=(text,),
        tokenizer="byte",
        model=ModelOptions(preset="nano", context_length=16, dropout=0.1),
        training=TrainConfig(
            steps=6, batch_size=2, precision="float32", compile=False, evaluate_every=3, sample_every=100, threads=1
        ),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runs, "preset", small)
        tw.train(config, folder / "whole", quiet=True)
        interrupt_at(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            tw.train(config, folder / "run", quiet=True)
    assert Run(folder / "run").status().step == 3
    return folder


@pytest.fixture
def interrupted(begun: Path, tmp_path: Path) -> Path:
    """The interrupted run, to be gone on with; beside it the whole one."""
    shutil.copytree(begun / "whole", tmp_path / "whole")
    return shutil.copytree(begun / "run", tmp_path / "run")


def test_fit_leaves_a_whole_run_that_goes_on_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_model().fit(TEXTS, steps=6, batch_size=2, out=tmp_path / "whole")
    with monkeypatch.context() as patched:
        interrupt_at(patched, 3)
        model = new_model()
        with pytest.raises(KeyboardInterrupt):
            model.fit(TEXTS, steps=6, batch_size=2, out=tmp_path / "run")
    assert not model.network.training
    assert model.logits([model.tokenizer.encode("The")]).isfinite().all()
    assert [found.path.name for found in verify(tmp_path / "run") if found.damage] == []
    assert tw.resume(tmp_path / "run", quiet=True).report.steps == 6
    assert same(tmp_path / "run", tmp_path / "whole")
    for name in ("run", "whole"):
        findings = verify(tmp_path / name)
        assert {found.path.name for found in findings} >= {"config.toml", "base", "data", "model"}
        assert [found.damage for found in findings if found.damage] == []


def test_fit_in_memory_and_with_a_run_learn_the_same(tmp_path: Path) -> None:
    one, other = new_model(), new_model()
    one.fit(TEXTS, steps=3, batch_size=2)
    other.fit(TEXTS, steps=3, batch_size=2, out=tmp_path / "run")
    ids = [one.tokenizer.encode("The cat")]
    assert torch.equal(one.logits(ids), other.logits(ids))


def test_a_fit_that_never_saved_begins_again_with_the_model_it_was_given(tmp_path: Path) -> None:
    new_model().fit(TEXTS, steps=4, batch_size=2, out=tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "run")
    for part in ("checkpoints", "model"):
        shutil.rmtree(tmp_path / "run" / part)
    tw.resume(tmp_path / "run", quiet=True)
    assert same(tmp_path / "run", tmp_path / "whole")


def test_ctrl_c_reaches_whoever_called_fit_without_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_at(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        new_model().fit(TEXTS, steps=6, batch_size=2)


def test_sigterm_ends_the_program_that_fits_once_the_run_is_saved(tmp_path: Path) -> None:
    program = (
        "import sys, signal\nfrom pathlib import Path\nimport pytest\n"
        "from tests.api.test_runs_stay_resumable import TEXTS, interrupt_at, new_model\n"
        "interrupt_at(pytest.MonkeyPatch(), 2, signal.SIGTERM)\n"
        "new_model().fit(TEXTS, steps=6, batch_size=2, out=sys.argv[1])\nprint('went on')\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "run"], cwd=root, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, ""), done.stderr
    status = Run(tmp_path / "run").status()
    assert (status.state, status.step) == ("stopped", 2)


def test_a_change_that_does_not_fit_leaves_every_byte(interrupted: Path) -> None:
    before = content(interrupted)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"checkpoint_every": 0}, "checkpoint_every = 0"),
        ({"early_stopping_patience": "often"}, "patience = 'often'"),
        ({"stepps": 9}, "did you mean 'steps'"),
        ({"batch_size": 3}, "one of"),
        ({"steps": 0}, "steps = 0"),
    ]
    for changes, said in refused:
        with pytest.raises(InputError, match=said):
            tw.resume(interrupted, changes=changes, quiet=True)
        assert content(interrupted) == before
    tw.resume(interrupted, quiet=True)
    assert same(interrupted, interrupted.parent / "whole")


def test_the_config_of_a_run_begins_a_new_one(interrupted: Path) -> None:
    path = interrupted / "config.toml"
    values = read_for_new_run(path)
    assert "resolved" not in values
    assert RunConfig.model_validate(values).model == ModelOptions(preset="nano", context_length=16, dropout=0.1)
    path.write_text(path.read_text().replace("schema_version = 1", "schema_version = 7"))
    with pytest.raises(InputError, match="schema_version = 7; expected 1"):
        read_for_new_run(path)
    path.write_text('schema_version = 1\nbegun_by = "fit"\n')
    with pytest.raises(InputError, match="a run of fit"):
        merge_run_config(path, None)


def test_a_change_is_not_written_before_the_checkpoint_was_compared(interrupted: Path) -> None:
    config = interrupted / "config.toml"
    original = config.read_text()
    config.write_text(original.replace("max_grad_norm = 1.0", "max_grad_norm = 2.0"))
    before = content(interrupted)
    with pytest.raises(InputError, match=r"max_grad_norm 1.0 -> 2.0"):
        tw.resume(interrupted, steps=9, quiet=True)
    assert content(interrupted) == before


class LaterTrainConfig(TrainConfig):
    """With new fields, one of them on, and other defaults for old ones."""

    averages_weights: int = 0
    looks_ahead: Annotated[bool, Field(json_schema_extra={AS_BEFORE: False})] = True
    weight_decay: float = 0.5
    patience: int | None = 1
    loss_spike_threshold: float | None = 0.001


class LaterRunConfig(RunConfig):
    training: LaterTrainConfig = LaterTrainConfig()


class LaterResolvedTrainConfig(ResolvedTrainConfig, LaterTrainConfig):
    pass


def test_a_run_goes_on_in_a_later_release_with_what_it_had(interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "RunConfig", LaterRunConfig)
    monkeypatch.setattr(train_config, "ResolvedTrainConfig", LaterResolvedTrainConfig)
    monkeypatch.setattr(runs, "preset", lambda *_, **__: pytest.fail("today's preset was asked for"))
    tw.resume(interrupted, quiet=True)
    assert same(interrupted, interrupted.parent / "whole")
    text = (interrupted / "config.toml").read_text()
    assert "looks_ahead = false" in text
    assert "weight_decay = 0.1" in text
    assert "early_stopping_patience" not in text
    config = interrupted / "config.toml"
    config.write_text(text.replace("looks_ahead = false", "looks_ahead = true"))
    with pytest.raises(InputError, match="looks_ahead False -> True"):
        tw.resume(interrupted, steps=8, quiet=True)


def test_a_run_of_another_schema_version_is_refused_as_it_is(interrupted: Path) -> None:
    config = interrupted / "config.toml"
    config.write_text(config.read_text().replace("schema_version = 1", "schema_version = 2"))
    before = content(interrupted)
    with pytest.raises(InputError, match="schema_version = 2; expected 1"):
        tw.resume(interrupted, quiet=True)
    assert content(interrupted) == before
    assert [found.damage for found in verify(interrupted) if found.damage] == []


@pytest.mark.parametrize("name", ["finished", "interrupted"])
def test_a_run_of_version_0_1_0_is_refused_by_its_name_and_stays_as_it_is(tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(OLD / name, tmp_path / name)
    before = content(folder)
    with pytest.raises(InputError, match=r"textwright 0\.1\.0") as refused:
        tw.resume(folder, steps=9, quiet=True)
    assert "\n" not in str(refused.value)
    assert content(folder) == before


def test_a_config_whose_keys_are_not_known_any_more_is_still_verified(tmp_path: Path) -> None:
    folder = shutil.copytree(OLD / "finished", tmp_path / "run")
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("batch_size = ", "lines = "))
    assert [found.damage for found in verify(folder) if found.damage] == []
    config.write_text("rows = [")
    assert "not valid TOML" in str(verify(folder)[0].damage)


def test_a_run_from_before_tables_had_a_quoting_reads_them_as_it_did() -> None:
    """Where it was killed before its text was read, it reads it when it goes on."""
    stored = read_stored(RunConfig, {"data": ["texts.tsv"]}, "config.toml")
    assert stored.reading["quoting"] == "csv"
    assert RunConfig(data=(Path("texts.tsv"),)).reading["quoting"] == "auto"
