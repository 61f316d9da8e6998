"""The verbs do what they say, and their --json has the names that others rely on."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from textwright.core.journal import read_rows

QUICK = ("--model.preset", "nano", "--model.context-length", 32, "--batch-size", 4)


def test_train_leaves_a_whole_run_and_pinned_names(textwright: Run, text_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("--data", text_file, "--tokenizer", "bpe:270", *QUICK, "--steps", 6, "--out", out, "--json")
    done = textwright("train", *arguments)
    assert set(done.json) == {
        "run",
        "model",
        "steps",
        "tokens",
        "val_loss_nats",
        "val_bits_per_byte",
        "metrics",
        "trained_parameters",
        "tokens_per_s",
        "peak_memory_bytes",
    }
    assert (done.json["steps"], done.json["tokens"]) == (6, 6 * 4 * 32)
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {
        "config.toml",
        "journal.jsonl",
        "samples.jsonl",
        "checkpoints",
        "best",
        "model",
        "data",
        "report.html",
    }
    rows = list(read_rows(out / "journal.jsonl"))
    train = next(row for row in rows if row["kind"] == "train")
    wanted = "step elapsed_s loss_nats tokens tokens_per_s learning_rate grad_norm memory_bytes"
    assert set(wanted.split()) <= set(train)
    assert {row["kind"] for row in rows} == {"train", "val", "sample", "event"}


def test_a_runs_own_config_repeats_it(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert textwright("train", "--config", finished_run / "config.toml", "--out", again).code == 0

    def losses(run: Path) -> list[float]:
        return [row["loss_nats"] for row in read_rows(run / "journal.jsonl") if row["kind"] == "train"]

    assert losses(again) == losses(finished_run)


def test_the_command_line_wins_over_the_config_file(textwright: Run, text_file: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(
        f'data = ["{text_file}"]\ntokenizer = "byte"\n'
        '[model]\npreset = "nano"\ncontext_length = 16\n[training]\nsteps = 50\nbatch_size = 2\n'
    )
    done = textwright("train", "--config", tmp_path / "my.toml", "--steps", 3, "--out", tmp_path / "run", "--json")
    assert (done.json["steps"], done.json["tokens"]) == (3, 3 * 2 * 16)


def test_generate_gives_every_completion_with_its_end(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    model = finished_run / "model"
    done = textwright("generate", model, "The", "A", "--max-new-tokens", 5, "--json")
    assert set(done.json) == {"completions", "tokens_per_s"}
    assert [item["prompt"] for item in done.json["completions"]] == ["The", "A"]
    assert {"prompt", "text", "finish_reason", "stop_reason", "num_tokens"} <= set(done.json["completions"][0])
    (tmp_path / "prompts.txt").write_text("The\n\nA\n")
    from_file = textwright(
        "generate", model, "--prompts-file", tmp_path / "prompts.txt", "--max-new-tokens", 5, "--json"
    )
    assert from_file.json["completions"] == done.json["completions"]
    streamed = textwright("generate", model, "The", "--max-new-tokens", 5)
    assert streamed.out == "The" + done.json["completions"][0]["text"] + "\n"
    assert "tokens/s" in streamed.err


def test_generate_takes_biases_by_token_id(textwright: Run, finished_run: Path) -> None:
    options = ("--max-new-tokens", 2, "--logit-bias", "65=100,66=99", "--no-repeat-ngram-size", 1, "--json")
    done = textwright("generate", finished_run / "model", "x", *options)
    assert done.json["completions"][0]["text"] == "AB"


def test_evaluate_names_what_it_measured(textwright: Run, finished_run: Path, text_file: Path) -> None:
    done = textwright("evaluate", finished_run / "model", "--text", text_file, "--json")
    wanted = (
        "loss_nats_per_token perplexity_per_token perplexity_per_word bits_per_byte bits_per_character num_tokens "
        "window stride"
    )
    assert set(wanted.split()) <= set(done.json)
    assert done.json["num_tokens"] == text_file.stat().st_size
    assert (done.json["window"], done.json["stride"]) == (32, 16)
    shown = textwright("evaluate", finished_run / "model", "--text", text_file)
    assert "bits_per_byte" in shown.out


def test_a_task_gives_its_metrics(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "passages.jsonl").write_text("\n".join(json.dumps({"text": f"the cat sat {i}"}) for i in range(4)))
    arguments = ("--task", "lambada", "--data", tmp_path / "passages.jsonl", "--json")
    done = textwright("evaluate", finished_run / "model", *arguments)
    assert done.json["task"] == "lambada"
    assert done.json["metrics"]["num_passages"] == 4


def test_embed_writes_vectors_that_other_programs_read(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    import numpy as np

    model, out = finished_run / "model", tmp_path / "vectors.npy"
    done = textwright("embed", model, "one sentence", "another", "--json")
    assert done.json["hidden_size"] == len(done.json["vectors"][0]) == 128
    assert textwright("embed", model, "one sentence", "another", "--out", out).code == 0
    assert np.load(out).shape == (2, 128)
    assert np.load(out, allow_pickle=False)[1].tolist() == pytest.approx(done.json["vectors"][1])


def test_a_trained_tokenizer_is_inspected_in_colour(textwright: Run, text_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokenizer"
    done = textwright("tokenizer", "train", text_file, "--vocab-size", 280, "--out", out, "--json")
    assert done.json["vocab_size"] == 280
    assert done.json["round_trip"] is True
    assert done.json["bytes_per_token"] > 1.5
    inspected = textwright("tokenizer", "inspect", out, "The cat 月", "--json")
    assert inspected.json["round_trip"] is True
    assert {"vocab_size", "bytes_per_token"} <= set(inspected.json)
    shown = textwright("tokenizer", "inspect", out, "The cat 月")
    assert "月⟨3⟩" in shown.out
    assert "round trip exact" in shown.out


def test_runs_are_listed_measured_and_deleted(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "cats")
    (row,) = textwright("runs", "list", tmp_path, "--json").json["runs"]
    assert (row["run"], row["state"], row["step"]) == (str(run), "finished", 8)
    assert "finished" in textwright("runs", "list", tmp_path).out
    usage = textwright("runs", "disk", run, "--json").json["runs"][str(run)]
    assert usage["model"] > 1e6
    assert "checkpoints" in textwright("runs", "disk", run).out
    assert textwright("runs", "watch", run).code == 0
    assert textwright("runs", "delete", run, "--yes").code == 0
    assert not run.exists()


def test_a_folder_with_strangers_in_it_is_not_deleted(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished_run, tmp_path / "cats")
    (run / "thesis.txt").write_text("years of work")
    done = textwright("runs", "delete", run, "--yes")
    assert done.code == 2
    assert "thesis.txt" in done.err
    assert (run / "model").is_dir()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_whole_and_it_goes_on(
    textwright: Run, text_file: Path, tmp_path: Path, number: int, code: int
) -> None:
    run = tmp_path / "run"
    arguments = ["--data", text_file, "--tokenizer", "byte", *QUICK, "--steps", 3000, "--out", run]
    process = subprocess.Popen(
        [sys.executable, "-m", "textwright", "train", *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )
    journal = run / "journal.jsonl"
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s and not (journal.is_file() and '"train"' in journal.read_text()):
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert f"textwright train --resume {run}" in err
    assert "Traceback" not in err
    reached = max(row["step"] for row in read_rows(journal) if row["kind"] == "train")
    done = textwright("train", "--resume", run, "--steps", reached + 3, "--json")
    assert done.json["steps"] == reached + 3
    steps = [row["step"] for row in read_rows(journal) if row["kind"] == "train"]
    assert steps == list(range(1, reached + 4))
