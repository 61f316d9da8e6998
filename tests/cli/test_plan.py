"""``textwright plan`` tells what ``textwright train`` will do, and leaves nothing behind."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from textwright.checkpoint.model_folder import save_model
from textwright.models.catalog import build
from textwright.models.language_model import as_language_model
from textwright.models.presets import preset
from textwright.text import spool
from textwright.tokens import make_tokenizer

TEACHING = """
import os, sys
import textwright.api.fine_tuning  # once for all of the processes below
from textwright.cli import build_app

base, data, out = sys.argv[1:]
quick = ["--steps", "3", "--batch-size", "6", "--threads", "1", "--no-compile", "--precision", "float32"]
for strategy, how in (("last", ["--plan"]), ("last", ["--out", out]), ("full", ["--plan"])):
    if os.fork() == 0:
        code = build_app()(["finetune", base, "--data", data, *quick, "--strategy", strategy, *how, "--json"])
        sys.stdout.flush()
        os._exit(code or 0)
    assert os.wait()[1] == 0
"""
QUICK = ("--tokenizer", "byte", "--model.preset", "nano", "--model.context-length", 32, "--batch-size", 4, "--steps", 4)


def test_its_figures_are_the_runs(
    textwright: Run, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    done = textwright("plan", "--data", text_file, *QUICK, "--json")
    assert done.code == 0, done.err
    plan = done.json
    assert {"parameters", "memory_bytes", "disk_bytes", "seconds", "micro_batch_size", "epochs", "warnings"} <= set(
        plan
    )
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "runs").exists()

    run = textwright("train", "--data", text_file, *QUICK, "--out", tmp_path / "run", "--json")
    assert (plan["steps"], plan["tokens"]) == (run.json["steps"], run.json["tokens"])
    held = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert held < plan["disk_bytes"] + 100_000  # besides: journal, samples, report, tokenizer
    assert "plan: 4 steps" in run.err


# A disk so slow that a checkpoint is being written until the next one is due: as the plan has it, the run then holds a
# copy of its state while it steps. On a quick disk that copy may be gone before the next step, and the run takes less.
# And a plan of few trial steps, which take as much memory as many.
SLOW_DISK = """
import threading
from textwright.runs import checkpointer
from textwright.training import estimate_run

estimate_run.NUM_TRIAL_STEPS = 3
is_due, write, wait = threading.Event(), checkpointer.write_checkpoint, checkpointer.AsyncCheckpointer.wait

def write_late(*arguments):
    assert is_due.wait(timeout=120)
    return write(*arguments)

def wait_for_disk(self):
    is_due.set()
    failure = wait(self)
    is_due.clear()
    return failure

checkpointer.write_checkpoint, checkpointer.AsyncCheckpointer.wait = write_late, wait_for_disk
from textwright.cli import main
main()
"""


def test_the_memory_foreseen_is_that_of_the_run_and_its_checkpoints(text_file: Path, tmp_path: Path) -> None:
    """In processes of their own: the most memory of each is then its own."""
    options = ("--data", text_file, "--tokenizer", "byte", "--model.preset", "tiny", "--batch-size", 6, "--steps", 4)
    # What is otherwise decided by the clock and by the memory that is free, in each of them anew.
    options += ("--micro-batch-size", 6, "--precision", "float32")
    found = []
    for verb in (("plan",), ("train", "--out", tmp_path / "run")):
        command = [sys.executable, "-c", SLOW_DISK, *verb, *options, "--checkpoint-every", 2, "--json"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0]["memory_bytes"] == pytest.approx(found[1]["peak_memory_bytes"], rel=0.15)


def test_what_it_writes_lies_beside_the_run_and_is_gone_afterwards(
    textwright: Run, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no such folder"))
    monkeypatch.setattr(spool, "MEMORY_BYTES", 1)  # what is more goes to the disk
    left = tmp_path / ".textwright-plan-killed.tmp"
    (left / "run").mkdir(parents=True)
    trained = ("--tokenizer", "bpe:270", *QUICK[2:])  # on text that is kept meanwhile
    assert textwright("plan", "--data", text_file, *trained).code == 0
    assert list(tmp_path.iterdir()) == []
    assert textwright("train", "--data", text_file, *trained, "--out", "run").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not [path.name for path in (tmp_path / "run").rglob("*.tmp")]


def test_for_people_it_is_a_few_lines(textwright: Run, text_file: Path) -> None:
    done = textwright("plan", "--data", text_file, *QUICK)
    assert "plan: 4 steps, 512 tokens" in done.out
    assert "time: about" in done.out


def test_what_train_refuses_it_refuses(textwright: Run, tmp_path: Path) -> None:
    for arguments in ((), ("--data", tmp_path / "nothing"), ("--data", tmp_path, "--tokenizer", "bpq:9")):
        done = textwright("plan", *arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.count("\n") == 1


def write_pairs(path: Path) -> Path:
    rows = [{"prompt": f"{number} and {number} are", "completion": f" {2 * number}."} for number in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_fine_tunings_figures_are_the_runs(
    textwright: Run, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data, where = write_pairs(tmp_path / "sums.jsonl"), ("finetune", finished_run / "model", "--data")
    quick = ("--strategy", "last@2 -> full", "--steps", 4, "--precision", "float32", "--no-compile", "--batch-size", 4)
    done = textwright(*where, data, *quick, "--plan", "--json")
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sums.jsonl"]
    plan = done.json
    first, second = plan["stages"]
    assert (first["from_step"], second["from_step"]) == (0, 2)
    assert 0 < first["trained_parameters"] < second["trained_parameters"] == plan["parameters"]
    assert min(first["step_seconds"], second["step_seconds"]) > 0
    assert plan["epochs"] == pytest.approx(4 / plan["steps_per_epoch"])
    assert not any("are few" in warning for warning in plan["warnings"])  # which is said of models from scratch

    run = textwright(*where, data, *quick, "--out", tmp_path / "run", "--json")
    assert (plan["steps"], plan["tokens"]) == (run.json["steps"], pytest.approx(run.json["tokens"], rel=0.2))
    assert run.json["trained_parameters"] == second["trained_parameters"]
    held = sum(path.stat().st_size for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert held < plan["disk_bytes"] + 200_000  # besides: journal, samples, report, tokenizers
    assert "plan: 4 steps" in run.err

    people = textwright(*where, data, *quick, "--plan")
    assert f"from step 2: {second['trained_parameters']:,} of" in people.out
    assert textwright(*where, data, *quick, "--plan", "--check").code == 2


def test_the_memory_foreseen_of_a_fine_tuning_is_that_of_its_run(tmp_path: Path) -> None:
    """What is frozen takes none for gradients and the optimizer."""
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    network = build(preset("tiny", vocab_size=tokenizer.vocab_size), seed=0)
    save_model(as_language_model(network), tokenizer, tmp_path / "base")
    arguments = [
        sys.executable,
        "-c",
        TEACHING,
        tmp_path / "base",
        write_pairs(tmp_path / "sums.jsonl"),
        tmp_path / "run",
    ]
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    foreseen, run, full = map(json.loads, done.stdout.splitlines())
    assert foreseen["memory_bytes"] == pytest.approx(run["peak_memory_bytes"], rel=0.15)
    frozen = full["stages"][0]["trained_parameters"] - foreseen["stages"][0]["trained_parameters"]
    assert full["memory_bytes"] - foreseen["memory_bytes"] > 2 * 4 * frozen  # gradients, and the optimizer's two
