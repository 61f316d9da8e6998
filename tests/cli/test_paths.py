"""A path that cannot be what it is given as: one line, exit code 2, no traceback, no waiting, nothing done before."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Done, Run
from tests.cli.test_bad_input import QUICK, assert_one_line
from tests.cli.test_chat import Chat, chat, model

__all__ = ["chat", "model"]
LONG = "x" * 300
ODD = os.fsdecode(b"caf\xe9")
"""A name that is not UTF-8, as Python has it."""


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """``places("fifo")``: the path of something that is there and is of no use as a file."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        yield lambda name: {"device": Path("/dev/zero"), "long": tmp_path / LONG}.get(name, tmp_path / name)


WHERE_NO_FILE_IS = [
    ("folder", "is a folder"),
    ("fifo", "not a regular file"),
    ("socket", "not a regular file"),
    ("device", "not a regular file"),
    ("file/x", "leads through a file"),
    ("long", "too long"),
    ("none", "there is no file"),
    (ODD, "there is no file"),
]
WHERE_NOTHING_CAN_BE_WRITTEN = [
    ("file/x", "leads through a file"),
    ("file/x/y", "leads through a file"),
    ("long", "too long"),
]


@pytest.mark.parametrize(("name", "said"), WHERE_NO_FILE_IS)
def test_a_config_that_is_no_file(
    textwright: Run, places: Callable[[str], Path], tmp_path: Path, name: str, said: str
) -> None:
    assert_one_line(textwright("train", "--config", places(name), "--out", tmp_path / "run"), said)
    assert_one_line(textwright("plan", "--config", places(name)), said)


@pytest.mark.parametrize(("name", "said"), WHERE_NO_FILE_IS)
def test_prompts_and_texts_that_are_in_no_file(
    textwright: Run, finished_run: Path, places: Callable[[str], Path], name: str, said: str
) -> None:
    folder = finished_run / "model"
    assert_one_line(textwright("generate", folder, "--prompts-file", places(name)), said)
    assert_one_line(textwright("embed", folder, "--texts-file", places(name)), said)
    if name != ODD:  # what an option's text cannot be is the option's to say
        schema = places(name).with_suffix(".json") if name == "none" else places(name) / "s.json"
        assert textwright("generate", folder, "a", "--json-schema", schema).code == 2


@pytest.mark.parametrize(("name", "said"), WHERE_NOTHING_CAN_BE_WRITTEN)
def test_a_run_where_nothing_can_be_written(
    textwright: Run, text_file: Path, places: Callable[[str], Path], name: str, said: str
) -> None:
    assert_one_line(textwright("train", "--data", text_file, "--out", places(name), *QUICK), said)
    assert_one_line(textwright("demo", "--text", text_file, "--out", places(name), "--minutes", "0.01"), said)


@pytest.mark.parametrize(("name", "said"), WHERE_NOTHING_CAN_BE_WRITTEN)
def test_a_tokenizer_where_nothing_can_be_written_is_refused_before_it_is_trained(
    textwright: Run, places: Callable[[str], Path], tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")  # reading it would be another error
    out = ("--kind", "byte", "--out", places(name))
    assert_one_line(textwright("tokenizer", "train", tmp_path / "latin.txt", *out), said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder.npy", "is a folder"),
        ("fifo.npy", "not a regular file"),
        ("file/x.npy", "through a file"),
        (f"{LONG}.npy", "too long"),
        ("none/x.npy", "there is no folder"),
    ],
)
def test_vectors_where_nothing_can_be_written_are_refused_before_they_are_made(
    textwright: Run, tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "folder.npy").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo.npy")
    # A model that is not there would be the next thing to be seen.
    assert_one_line(textwright("embed", tmp_path / "no-model", "text", "--out", tmp_path / name), said)


@pytest.mark.parametrize("name", ["file/x", "long", "folder/none/x", "fifo", "socket"])
def test_a_dialogue_where_nothing_can_be_written(chat: Chat, places: Callable[[str], Path], name: str) -> None:
    assert_one_line(chat(f"/save {places(name)}\n"))
    assert_one_line(chat("/save a\0b\n"), "the name")


@pytest.mark.parametrize("name", ["folder", "file", "fifo", "socket", "device", "file/x", "long", "none", ODD])
def test_no_command_breaks_on_what_is_no_model_run_or_tokenizer(
    textwright: Run, places: Callable[[str], Path], text_file: Path, name: str
) -> None:
    path = places(name)
    for arguments in (
        ("generate", path, "a"),
        ("chat", path),
        ("embed", path, "a"),
        ("evaluate", path, "--text", text_file),
        ("tokenizer", "inspect", path),
        ("verify", path),
        ("runs", "watch", path),
        ("runs", "delete", path, "--yes"),
        ("train", "--resume", path),
    ):
        assert_one_line(textwright(*arguments))
    for arguments in (("runs", "list", path), ("runs", "disk", path)):
        done = textwright(*arguments)
        assert done.code == (0 if name in ("folder",) else 2), done
        assert "Traceback" not in done.err


def test_text_that_is_not_utf8_on_the_command_line_is_refused_and_can_be_printed(
    textwright: Run, finished_run: Path, text_file: Path, tmp_path: Path
) -> None:
    folder = finished_run / "model"
    for arguments in (
        ("generate", folder, ODD),
        ("generate", folder, "a", "--stop", ODD, "--engine", "torch"),
        ("embed", folder, ODD),
        ("chat", folder, "--system", ODD),
        ("tokenizer", "inspect", folder, ODD),
        ("train", "--data", text_file, "--tokenizer", ODD, "--out", tmp_path / "run"),
        ("train", "--data", tmp_path / ODD, "--out", tmp_path / "run"),
        (ODD,),
        ("train", f"--{ODD}", "1"),
    ):
        for done in (textwright(*arguments), textwright(*arguments, "--json")):
            assert done.code == 2, done
            assert "Traceback" not in done.err
            done.err.encode()
    assert not (tmp_path / "run").exists()


def test_what_has_a_name_that_is_not_utf8_is_read_where_it_can_be(
    textwright: Run, finished_run: Path, text_file: Path, tmp_path: Path
) -> None:
    # The weights' reader knows names of text only.
    os.symlink(finished_run / "model", tmp_path / ODD)
    assert_one_line(textwright("evaluate", tmp_path / ODD, "--text", text_file), "UTF-8")
    os.symlink(text_file, tmp_path / f"{ODD}.txt")
    done = textwright("evaluate", finished_run / "model", "--text", tmp_path / f"{ODD}.txt", "--json")
    assert done.code == 0, done
    assert done.json["num_tokens"] > 0
    os.symlink(finished_run, tmp_path / f"{ODD}-run")
    assert textwright("runs", "list", tmp_path).code == 0
    assert "caf" in textwright("runs", "list", tmp_path, "--json").json["runs"][0]["run"]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("training = 3", ("training = 3", "a table")),
        ('model = "x"', ("model = 'x'", "a table")),
        ("[data]\na = 1", ("data", "a valid tuple")),
        ("[[training]]\nsteps = 1", ("training", "a table")),
        ("data = " + "[" * 5000, ("not valid TOML",)),
        ("a = " + "9" * 5000, ("not valid TOML",)),
        ('data = ["a\\u0000b"]', ("null byte",)),
        ('data = [""]', ()),
    ],
)
def test_toml_of_another_shape(
    textwright: Run, text_file: Path, tmp_path: Path, content: str, parts: tuple[str, ...]
) -> None:
    path = tmp_path / "my.toml"
    path.write_text(content)
    options = ("--model.preset", "nano", "--steps", 2, "--out", tmp_path / "run")
    if "data" not in content:
        assert_one_line(textwright("train", "--config", path, "--data", text_file, *options), *parts)
    assert_one_line(textwright("train", "--config", path, *options), *parts)
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_full_names_the_file(
    textwright: Run, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> Done:
        raise OSError(28, "No space left on device", "/somewhere/file")

    monkeypatch.setattr("textwright.commands.runs.find_runs", refuse)
    assert_one_line(textwright("runs", "list", tmp_path), "the disk is full", str(tmp_path))
