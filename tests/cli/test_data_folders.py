"""Data as it lies about: runs inside the folder of texts, paths with ``~``, standard input, files that are no text."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import TEXT, Run
from tests.cli.test_bad_input import assert_one_line
from tests.text.test_read_once import pipe_of

QUICK = ("--model.preset", "nano", "--model.context-length", 32, "--batch-size", 4, "--steps", 2)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of texts with something else among them."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(TEXT * 60)
    (folder / "c.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3")
    return folder


def test_a_run_inside_its_data_is_trained_gone_on_with_and_is_no_text_of_the_next(textwright: Run, texts: Path) -> None:
    out = ("--out", texts / "runs" / "one")
    done = textwright("train", "--data", texts, "--tokenizer", "bpe:270", *QUICK, *out)
    assert done.code == 0, done.err
    assert "2 files read, runs/one left out: a run; c.pdf left out: not text; 2 identical" in done.err
    assert "validation: " in done.err
    assert "the last tenth of each of 2 documents" in done.err
    assert textwright("verify", texts / "runs" / "one").code == 0
    done = textwright("train", "--resume", texts / "runs" / "one", "--steps", 3)
    assert done.code == 0, done.err
    tokenizer = texts / "tokenizer"
    assert textwright("tokenizer", "train", texts, "--kind", "byte", "--out", tokenizer).code == 0
    done = textwright("train", "--data", texts, "--tokenizer", tokenizer, *QUICK, "--out", texts / "two")
    assert done.code == 0, done.err
    assert "2 files read, runs/one and two left out: runs; " in done.err
    assert "tokenizer/tokenizer.json and tokenizer/tokenizer_config.json left out: of a tokenizer; " in done.err


def test_the_home_folder_in_a_config_and_as_an_out(
    textwright: Run, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my.toml").write_text('data = ["~/texts/a.txt"]\nval_data = ["~/texts/b.txt"]\ntokenizer = "byte"\n')
    done = textwright("train", "--config", tmp_path / "my.toml", *QUICK, "--out", "~/run")
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "model").is_dir()
    (texts / "a.txt").write_text("other text")
    assert_one_line(textwright("train", "--resume", tmp_path / "run", "--steps", 3), "~/texts/a.txt", "changed")


def test_standard_input_is_a_file(textwright: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = os.dup(0)
    try:
        with pipe_of(TEXT.encode() * 60) as path:
            os.dup2(int(path.name), 0)
            done = textwright("train", "--data", "-", "--tokenizer", "bpe:270", *QUICK)
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert done.code == 0, done.err
    assert (tmp_path / "runs" / "text" / "model").is_dir()
    done = textwright("train", "--resume", tmp_path / "runs" / "text", "--steps", 3)
    assert done.code == 0, done.err
    assert_one_line(textwright("generate", tmp_path, "-"), "unknown option -")


def test_rows_without_text_are_passed_over_when_asked(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"data": {"text": "The cat sat."}}\n{"data": {"text": null}}\n' * 9)
    asked = ("evaluate", finished_run / "model", "--text", path, "--text-field", "data.text")
    assert_one_line(textwright(*asked), "'data.text' is null", f"{path}:2", "--null-text skip")
    done = textwright(*asked, "--null-text", "skip")
    assert done.code == 0, done.err
    assert "1 file read; 9 rows without text passed over" in done.err


def test_validation_that_is_no_text_is_refused_before_any_work(textwright: Run, texts: Path, tmp_path: Path) -> None:
    arguments = ("--data", texts, "--val-data", tmp_path / "none.txt", *QUICK, "--out", tmp_path / "run")
    assert_one_line(textwright("train", *arguments), "there is no file or folder", "none.txt")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["b.txt", "../a-link", "."])
def test_files_to_validate_on_are_not_trained_on(textwright: Run, texts: Path, tmp_path: Path, name: str) -> None:
    """Whatever they are called: otherwise the validation loss is that of text that was learned."""
    (texts / "b.txt").write_text("Another text altogether, to validate on. " * 60)
    (tmp_path / "a-link").symlink_to(texts / "b.txt")
    data = ("--data", texts, "--val-data", texts / name, "--tokenizer", "byte", *QUICK)
    if name == ".":
        assert_one_line(
            textwright("train", *data, "--out", tmp_path / "run"), "no text is left to train on", str(texts)
        )
        assert not (tmp_path / "run").exists()
        return
    done = textwright("train", *data, "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    assert "1 file read, c.pdf left out: not text; b.txt left out: validated on" in done.err
    from textwright.data.dataset import open_data

    split = open_data(tmp_path / "run" / "data")
    assert split.val is not None
    assert (split.train.num_bytes, split.val.num_bytes) == (len(TEXT) * 60, 41 * 60)
    assert textwright("train", "--resume", tmp_path / "run", "--steps", 3).code == 0
    (texts / "b.txt").write_text("changed")
    assert_one_line(textwright("train", "--resume", tmp_path / "run", "--steps", 4), "changed since")
    (texts / "b.txt").write_text("Another text altogether, to validate on. " * 60)
    planned = textwright("plan", *data)
    assert planned.code == 0, planned.err
    assert "b.txt left out: validated on" in planned.err
