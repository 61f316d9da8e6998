"""Going on with a run: what may have changed, what may not, and what stands in the way."""

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line
from textwright.core.journal import read_rows

HELD = "import sys, pathlib\nfrom textwright.runs.run_folder import Run\n"


@pytest.fixture
def run(textwright: Run, text_file: Path, tmp_path: Path) -> Path:
    """A run of four steps, over a text of its own."""
    text = tmp_path / "text.txt"
    shutil.copy(text_file, text)
    folder = tmp_path / "run"
    quick = ("--tokenizer", "byte", "--model.preset", "nano", "--model.context-length", 16, "--batch-size", 2)
    done = textwright("train", "--data", text, *quick, "--steps", 4, "--checkpoint-every", 2, "--out", folder)
    assert done.code == 0, done
    return folder


def events(run: Path) -> list[str]:
    return [row["message"] for row in read_rows(run / "journal.jsonl") if row["kind"] == "event"]


def test_changed_text_is_refused_and_the_override_is_recorded(textwright: Run, run: Path) -> None:
    text = run.parent / "text.txt"
    text.write_text(text.read_text() + "A new line.\n")
    assert_one_line(textwright("train", "--resume", run, "--steps", 6), str(text), "--accept-changed-data")
    done = textwright("train", "--resume", run, "--steps", 6, "--accept-changed-data", "--json")
    assert done.json["steps"] == 6
    assert any("the text changed since the run was begun" in message for message in events(run))


def test_text_that_is_gone_is_no_hindrance(textwright: Run, run: Path) -> None:
    (run.parent / "text.txt").unlink()
    assert textwright("train", "--resume", run, "--steps", 6, "--json").json["steps"] == 6


def test_other_shards_are_refused_and_can_be_accepted(textwright: Run, run: Path, text_file: Path) -> None:
    other = run.parent / "other"
    text = run.parent / "other.txt"
    text.write_text(text_file.read_text()[::-1])
    quick = (
        "--tokenizer",
        "byte",
        "--model.preset",
        "nano",
        "--model.context-length",
        16,
        "--batch-size",
        2,
        "--steps",
        1,
    )
    assert textwright("train", "--data", text, *quick, "--out", other).code == 0
    shutil.rmtree(run / "data")
    shutil.copytree(other / "data", run / "data")
    (run.parent / "text.txt").unlink()
    assert_one_line(textwright("train", "--resume", run, "--steps", 6), "the data is not what this run was begun with")
    assert textwright("train", "--resume", run, "--steps", 6, "--accept-changed-data").code == 0
    assert any("accepted" in message for message in events(run))


def test_a_changed_config_is_listed_and_refused_or_goes_on(textwright: Run, run: Path) -> None:
    config = run / "config.toml"
    original = config.read_text()
    config.write_text(
        original.replace("batch_size = 2", "batch_size = 3").replace(
            "muon_learning_rate = 0.02", "muon_learning_rate = 0.5"
        )
    )
    refused = textwright("train", "--resume", run, "--steps", 6)
    assert_one_line(refused, "muon_learning_rate 0.02 -> 0.5", "batch_size 2 -> 3", "start a new run")
    config.write_text(
        original.replace("context_length = 16", "context_length = 16\ndropout = 0.5", 1)  # of the table [model]
    )
    assert_one_line(textwright("train", "--resume", run, "--steps", 6), "model.dropout None -> 0.5")
    config.write_text(original)
    assert textwright("train", "--resume", run, "--steps", 6, "--checkpoint-every", 1).code == 0
    assert any("checkpoint_every 2 -> 1" in message for message in events(run))
    assert "checkpoint_every = 1" in config.read_text()


def test_what_is_passed_over_is_named(textwright: Run, run: Path) -> None:
    (run / "checkpoints" / "step-4" / "facts.json").unlink()
    assert textwright("train", "--resume", run).code == 0
    assert any("going on from step-2; passed over" in message and "facts.json" in message for message in events(run))


def test_a_checkpoint_is_of_no_use_without_the_best_model_it_knows(textwright: Run, run: Path) -> None:
    best = next((run / "best").iterdir())
    (best / "state.safetensors").write_bytes(b"torn")
    assert textwright("train", "--resume", run).code == 0
    assert any(f"passed over: {best}" in message for message in events(run))


def test_a_second_process_is_refused(textwright: Run, run: Path) -> None:
    program = (
        HELD + "with Run(pathlib.Path(sys.argv[1])).locked():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    try:
        assert_one_line(textwright("train", "--resume", run, "--steps", 6), "another process is working on")
        assert_one_line(textwright("runs", "delete", run, "--yes"), "another process is working on")
    finally:
        owner.kill()
        owner.communicate()
    assert textwright("train", "--resume", run, "--steps", 6).code == 0


def test_out_on_a_run_names_resume(textwright: Run, run: Path) -> None:
    done = textwright("train", "--data", run.parent / "text.txt", "--out", run)
    assert_one_line(done, "is there already", f"--resume {run}")


def test_no_part_of_a_run_may_lead_out_of_its_folder(textwright: Run, run: Path) -> None:
    treasure = run.parent / "treasure" / "step-1"
    treasure.mkdir(parents=True)
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").symlink_to(treasure.parent)
    assert_one_line(textwright("train", "--resume", run), "checkpoints is a link")
    assert treasure.is_dir()


def test_a_strange_path_a_loop_of_links_and_ten_thousand_old_checkpoints(textwright: Run, run: Path) -> None:
    odd = run.parent / "with spaces, 中文,\nand a new line"
    run.rename(odd)
    (odd / "checkpoints" / "loop").symlink_to(odd)
    (odd / "checkpoints" / "step-9").symlink_to(odd / "checkpoints" / "step-4")
    newest = odd / "checkpoints" / "step-4"
    for step in range(5, 10_005):  # newer by name, and torn
        (odd / "checkpoints" / f"step-{step}").mkdir(exist_ok=True)
    os.utime(newest, (0, 0))  # clocks are not asked
    from textwright.runs.run_folder import Run as RunFolder

    gc.disable()  # it would look through what all tests before have left
    try:
        begun_s = time.thread_time()  # of this thread on the processor: other tests run beside it
        found, passed_over = RunFolder.open(odd).newest_checkpoint()
        elapsed_s = time.thread_time() - begun_s
    finally:
        gc.enable()
    assert elapsed_s < 1  # 0.3 alone
    assert found == newest
    assert len(passed_over) == 9_999
    done = textwright("train", "--resume", odd, "--steps", 5, "--json")
    assert json.loads(done.out)["steps"] == 5


def test_a_disk_without_room_is_found_out_before_the_first_step(
    textwright: Run, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    done = textwright(
        "train", "--data", text_file, "--tokenizer", "byte", "--model.preset", "nano", "--out", tmp_path / "x"
    )
    assert_one_line(done, "10 MB of disk", "make room")
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_is_one_line(
    textwright: Run, text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # /sys takes no folder from anyone, root included.
    done = textwright("train", "--data", text_file, "--out", "/sys/run")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "/sys" in done.err


def test_verify_says_what_is_whole_and_names_what_is_not(textwright: Run, run: Path) -> None:
    done = textwright("verify", run)
    assert done.code == 0
    assert "damaged" not in done.out
    assert textwright("verify", run, "--json").json["ok"] is True
    weights = run / "model" / "model.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(bytes(raw))
    found = textwright("verify", run)
    assert found.code == 2
    assert f"{weights} has other content" in found.err
    report = textwright("verify", run, "--json")
    assert report.code == 2
    assert [row["path"] for row in report.json["checkpoints"] if row["damage"]] == [str(run / "model")]
    assert_one_line(textwright("verify", run.parent / "nothing"), "there is no folder")


def test_verify_names_a_damaged_line_of_the_journal(textwright: Run, run: Path) -> None:
    for name in ("journal.jsonl", "samples.jsonl"):
        path = run / name
        whole = path.read_bytes()
        path.write_bytes(whole[:20] + b"\x00" + whole[21:])
        assert f"{path}:1 is a damaged line" in textwright("verify", run).err
        path.write_bytes(whole + b'{"kind": "tr')  # as a kill leaves it
        assert textwright("verify", run).code == 0
        path.write_bytes(whole)
