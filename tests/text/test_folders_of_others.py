"""Folders as other people have them: what is text there is read, and what is left out is said."""

import gzip
import io
import os
import shutil
from pathlib import Path

import pytest

from tests.text.test_files_of_others import notebook, tar_of, zip_of
from tests.text.test_read_once import pipe_of
from textwright.core.errors import InputError
from textwright.text.files import find_files, fingerprint
from textwright.text.read import TextFiles, read_texts

MODEL_FILES = ("config.json", "model.safetensors", "generation_config.json", "textwright.json", "tokenizer.json")


def read(*paths: Path, **reading: str) -> tuple[list[str], str]:
    """The texts, and what is said of their files."""
    files = TextFiles(paths, **reading)
    texts = [chunk.text for chunk in files.chunks()]
    return texts, files.summary


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_what_is_left_out_and_what_is_identical_is_said_in_one_line(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "c.pdf")
    shutil.copy(tmp_path / "a.txt", tmp_path / "b.txt")
    (tmp_path / "d.jsonl").write_text('{"text": "d"}\n')
    assert read(tmp_path) == (
        ["a.txt", "a.txt", "d"],
        "3 files read, c.pdf left out: not text; 2 identical",
    )


def test_a_file_alone_is_said_to_be_read(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    assert read(tmp_path / "a.txt") == (["a.txt"], "1 file read")


def test_kinds_are_told_apart_and_many_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", ".hidden", ".git/config", "in/x.png", "in/y.jpg", "z.gif", "n.zip", "__pycache__/m.txt")
    (tmp_path / "texts.tar.gz").write_bytes(gzip.compress(tar_of("a.txt", "words")))
    (tmp_path / "picture.png.gz").write_bytes(gzip.compress(b"\x89PNG"))
    (tmp_path / "empty.md").touch()
    (tmp_path / "to folder").symlink_to(tmp_path / "in")
    (tmp_path / "to nothing.txt").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "pipe.txt")
    texts, said = read(tmp_path)
    assert texts == ["a.txt"]
    assert said == (
        "1 file read, to folder left out: a link to a folder; to nothing.txt left out: a link to nothing; "
        "n.zip and texts.tar.gz left out: archives; empty.md left out: empty; .git and .hidden left out: hidden; "
        "pipe.txt left out: not a regular file; 5 left out: not text"
    )


def test_an_empty_file_is_passed_over_in_a_folder_and_refused_when_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    (tmp_path / "__init__.py").touch()
    assert read(tmp_path) == (["a.txt"], "1 file read, __init__.py left out: empty")
    with pytest.raises(InputError, match=r"__init__\.py is empty"):
        read(tmp_path, tmp_path / "__init__.py")


def test_a_folder_of_nothing_but_such_says_what_was_there(tmp_path: Path) -> None:
    write(tmp_path, "a.zip", "b.pdf")
    (tmp_path / "c.txt").touch()
    with pytest.raises(InputError, match="no text in the folder .*; a.zip left out: an archive; c.txt left out: empty"):
        find_files([tmp_path])


def test_runs_models_and_tokenizers_are_never_text(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "runs/x/config.toml", "runs/x/journal.jsonl", "runs/x/data/manifest.json", "runs/note.txt")
    write(tmp_path, *(f"model/{name}" for name in MODEL_FILES), "model/cache/int8/list.json", "model/README.md")
    write(tmp_path, "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json", "tokenizer/words.txt")
    write(tmp_path, "gpt2/encoder.json", "gpt2/vocab.bpe", "shards/manifest.json", "shards/tokenizer.json")
    write(tmp_path, "shards/train-00000.bin", "shards/train-00000.idx", "shards/train-00000.arrow")
    texts, said = read(tmp_path)
    assert texts == ["a.txt", "model/README.md", "runs/note.txt", "tokenizer/words.txt"]
    assert said == (
        "4 files read, runs/x left out: a run; 4 left out: not text; 5 left out: of a model; "
        "4 left out: of a tokenizer; shards/manifest.json and shards/tokenizer.json left out: of token shards"
    )
    with pytest.raises(InputError, match="no text in the folder .*x left out: a run"):
        find_files([tmp_path / "runs" / "x"])


def test_files_called_as_those_of_models_are_text_where_no_model_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('["a"]')
    (tmp_path / "vocab.txt").write_text("words")
    (tmp_path / "manifest.json").write_text('["b"]')
    assert read(tmp_path)[0] == ["a", "b", "words"]


def test_rows_that_were_passed_over_are_counted(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"text": null}\n{"text": "x"}\nnull\n')
    texts, said = read(tmp_path, null_text="skip")
    assert texts == ["x", "x"]
    assert said == "2 files read; 2 identical; 4 rows without text passed over"


def test_a_binary_file_without_a_name_for_it_is_refused_by_what_it_is(tmp_path: Path) -> None:
    write(tmp_path, "a.txt")
    (tmp_path / "download").write_bytes(zip_of("word/document.xml"))
    with pytest.raises(InputError, match=r"download is a Word document"):
        read(tmp_path)


def test_notebooks_in_a_folder_give_their_cells(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_bytes(notebook("x = 1"))
    assert read(tmp_path)[0] == ["x = 1"]


def test_the_home_folder_is_meant_by_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "texts/a.txt")
    assert find_files([Path("~/texts")]) == [tmp_path / "texts" / "a.txt"]
    assert fingerprint([Path("~/texts")]) == fingerprint([tmp_path / "texts"])
    assert list(read_texts([Path("~/texts/a.txt")])) == ["texts/a.txt"]
    with pytest.raises(InputError, match="there is no file or folder ~nobody-is-called-so/x"):
        find_files([Path("~nobody-is-called-so/x")])


def test_a_dash_is_standard_input_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.dup(0)
    try:
        with pipe_of(b"some words\n") as path:
            os.dup2(int(path.name), 0)
            assert read(Path("-")) == (["some words\n"], "1 file read")
        write(tmp_path, "a.txt")
        with open(tmp_path / "a.txt") as opened:
            os.dup2(opened.fileno(), 0)
            assert read(Path("-")) == (["a.txt"], "1 file read")
    finally:
        os.dup2(before, 0)
        os.close(before)


def test_a_terminal_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    before, terminal = os.dup(0), os.open("/dev/null", os.O_RDONLY)
    try:
        os.dup2(terminal, 0)
        with pytest.raises(InputError, match="standard input is a terminal; expected text from a pipe or a file"):
            find_files([Path("-")])
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(terminal)
