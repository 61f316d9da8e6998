"""Text may come through a pipe, as a shell's ``<(command)`` or on standard input: it is read once."""

from pathlib import Path

from tests.cli.conftest import TEXT, Run
from tests.text.test_read_once import pipe_of

QUICK = ("--model.preset", "nano", "--model.context-length", 32, "--batch-size", 4, "--steps", 2)


def test_a_run_learns_from_a_pipe_and_goes_on_when_it_is_gone(textwright: Run, tmp_path: Path) -> None:
    with pipe_of(TEXT.encode() * 60) as path:
        done = textwright("train", "--data", path, "--tokenizer", "bpe:270", *QUICK, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert textwright("verify", tmp_path / "run").code == 0
    with pipe_of(b"something else") as path:  # under the same name, most likely
        done = textwright("train", "--resume", tmp_path / "run", "--steps", 3)
    assert done.code == 0, done.err


def test_a_tokenizer_is_trained_and_measured_on_a_pipe(textwright: Run, tmp_path: Path) -> None:
    with pipe_of(TEXT.encode() * 60) as path:
        done = textwright("tokenizer", "train", path, "--vocab-size", 270, "--out", tmp_path / "tokenizer", "--json")
    assert done.code == 0, done.err
    assert done.json["bytes_per_token"] > 1
    assert done.json["round_trip"] is True
