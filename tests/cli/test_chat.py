"""A dialogue: through pipes, at a terminal, longer than the context, stopped in the middle."""

import io
import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Done, Run
from tests.cli.test_bad_input import assert_one_line
from textwright.text.dialogue import DialogueFormat

QUICK = ("--max-new-tokens", 4)
Chat = Callable[..., Done]
Open = Callable[..., "Terminal"]


@pytest.fixture(scope="session")
def model(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a format of its own, short enough for its context of 32 bytes. Tests must not change it."""
    from textwright.api import load

    loaded = load(finished_run / "model")
    loaded.generate("x", max_new_tokens=1)  # compiles the kernels where they are not: a terminal waits for less long
    loaded.dialogue = DialogueFormat(user="u:", assistant="a:", turn_end="\n")
    folder = tmp_path_factory.mktemp("models") / "model"
    loaded.save(folder)
    return folder


@pytest.fixture
def chat(textwright: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> Chat:
    """``chat("hello\\n", "--json")``: what comes of these lines on standard input."""

    def run(lines: str | bytes, *options: object, folder: Path = model) -> Done:
        raw = lines.encode() if isinstance(lines, str) else lines
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        return textwright("chat", folder, *QUICK, *options)

    return run


def said(done: Done) -> list[str]:
    assert done.code == 0, done
    return [turn["text"] for turn in done.json["turns"] if turn["role"] == "user"]


def answers(done: Done) -> list[str]:
    return [turn["text"] for turn in done.json["turns"] if turn["role"] == "assistant"]


def test_each_line_is_a_turn_and_only_answers_go_to_standard_output(chat: Chat) -> None:
    told = chat("hi\n\nyou\n", "--json")
    assert set(told.json) == {"turns", "tokens_per_s"}
    assert [turn["role"] for turn in told.json["turns"]] == ["user", "assistant"] * 2
    assert said(told) == ["hi", "you"]
    assert told.json["tokens_per_s"] > 0
    plain = chat("hi\n\nyou\n")
    assert plain.code == 0
    assert [answer.strip() for answer in plain.out.split("\n") if answer.strip()] == "\n".join(answers(told)).split()
    assert ">" not in plain.out
    assert chat("", "--json").json == {"turns": [], "tokens_per_s": 0.0}


def test_a_line_that_ends_in_a_backslash_goes_on(chat: Chat) -> None:
    assert said(chat("a\\\nb\nc\\", "--json")) == ["a\nb", "c"]


def test_the_system_text_comes_first(chat: Chat) -> None:
    turns = chat("hi\n", "--system", "Be kind.", "--json").json["turns"]
    assert turns[0] == {"role": "system", "text": "Be kind."}
    assert chat("/system No.\nhi\n", "--json").json["turns"][0] == {"role": "system", "text": "No."}
    assert chat("/system\nhi\n", "--system", "x", "--json").json["turns"][0]["role"] == "user"


def test_turns_are_taken_back_forgotten_and_answered_again(chat: Chat) -> None:
    assert said(chat("a\nb\n/undo\nc\n", "--json")) == ["a", "c"]
    assert said(chat("a\nb\n/reset\nc\n", "--json")) == ["c"]
    options = ("--json", "--temperature", 3, "--seed", 5)
    again = chat("a\n/retry\n", *options)
    assert said(again) == ["a"]
    assert answers(again) == answers(chat("a\n", "--json", "--temperature", 3, "--seed", 6))
    assert answers(again) != answers(chat("a\n", *options))
    assert said(chat("//etc\n", "--json")) == ["/etc"]
    assert said(chat("a\n/quit\nb\n", "--json")) == ["a"]
    assert "/retry" in chat("/help\n").err


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ("/rest\n", ("unknown command '/rest'", "did you mean '/reset'?")),
        ("/undo\n", ("nothing was said yet",)),
        ("/retry\n", ("nothing was said yet",)),
        ("/save\n", ("/save", "a file's name")),
        ("/save no/such/folder/x\n", ("there is no folder", "no/such/folder")),
        (f"{'x' * 40}\n", ("the turn makes 45 tokens", "fewer than 32", "shorter")),
        (b"caf\xe9\n", ("0xe9", "UTF-8")),
    ],
)
def test_a_mistake_is_one_line(chat: Chat, lines: str | bytes, parts: tuple[str, ...]) -> None:
    assert_one_line(chat(lines), *parts)


def test_an_option_that_makes_no_sense_in_a_chat_is_refused(chat: Chat) -> None:
    assert_one_line(chat("hi\n", "--n", 2), "--n 2", "/retry")
    assert_one_line(chat("hi\n", "--top-logprobs", 2), "--top-logprobs", "generate")
    assert_one_line(chat("hi\n", "--top-p", 2), "--top-p")


def test_a_dialogue_longer_than_the_context_goes_on_and_says_so_once(chat: Chat) -> None:
    done = chat("hello\n" * 9, "--json")
    assert len(said(done)) == 9
    assert done.err.count("its oldest turns were forgotten") == 1
    assert "forgotten" not in chat("hi\n").err


def test_a_dialogue_is_saved_for_its_owner_only_and_no_other_file_is_lost(chat: Chat, tmp_path: Path) -> None:
    path = tmp_path / "dialogue.jsonl"
    done = chat(f"/system 月\nhi\n/save {path}\nyou\n/save {path}\n", "--json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == done.json["turns"]
    assert len(rows) == 5
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert_one_line(chat(f"/save {path}\n"), "is there already")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["dialogue.jsonl"]


@pytest.mark.parametrize(
    ("dialogue", "parts"),
    [
        ({"user": "u:", "assitant": "a:"}, ("unknown key 'assitant'", "did you mean 'assistant'?")),
        ({"user": 3}, ("user = 3", "string")),
        ({"user": "x" * 201}, ("200",)),
        ({"assistant": "  "}, ("assistant", "more than white space")),
        ({"turn_end": ""}, ("turn_end",)),
        (["u:"], ("dialogue = ['u:']", "an object")),
        (None, ("dialogue = None",)),
    ],
)
def test_a_format_that_cannot_be_is_refused(
    chat: Chat, model: Path, tmp_path: Path, dialogue: Any, parts: tuple[str, ...]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in model.iterdir():
        (folder / path.name).symlink_to(path)
    content = json.loads((model / "textwright.json").read_text()) | {"dialogue": dialogue}
    (folder / "textwright.json").unlink()
    (folder / "textwright.json").write_text(json.dumps(content))
    assert_one_line(chat("hi\n", folder=folder), "textwright.json", *parts)


def test_a_model_without_a_format_gets_plain_turns(chat: Chat, finished_run: Path) -> None:
    done = chat(f"{'x' * 20}\n", folder=finished_run / "model")
    assert_one_line(done, f"{len('User: ' + 'x' * 20 + chr(10) + 'Assistant:')} tokens")


class Terminal:
    """The real program in a pseudo-terminal."""

    def __init__(self, *arguments: object) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "textwright", "chat", *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: _control(theirs),
            env=os.environ | {"TERM": "dumb", "INPUTRC": os.devnull},
        )
        os.close(theirs)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        """See ``text``, and nothing before it again."""
        self.wait_until(lambda shown: text in shown)
        self.shown = self.shown.partition(text)[2]

    def wait_until(self, is_enough: Callable[[str], bool]) -> None:
        """Read until what is shown is enough."""
        until_s = time.monotonic() + 45
        while not is_enough(self.shown):
            assert time.monotonic() < until_s, self.shown
            if select.select([self._ours], [], [], 0.1)[0]:
                self.shown += os.read(self._ours, 4096).decode(errors="replace")

    def close(self) -> None:
        """End the program, if it has not ended yet."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """``open_terminal(model, ...)``: a chat in a pseudo-terminal."""
    terminals: list[Terminal] = []

    def open_one(*arguments: object) -> Terminal:
        terminals.append(Terminal(*arguments))
        return terminals[-1]

    yield open_one
    for terminal in terminals:
        terminal.close()


def _control(terminal: int) -> None:
    """Make it the terminal that Ctrl-C comes from."""
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_at_a_terminal_ctrl_c_stops_an_answer_and_the_chat_goes_on(
    open_terminal: Open, model: Path, tmp_path: Path
) -> None:
    terminal = open_terminal(model, "--max-new-tokens", 1_000_000, "--temperature", 0)
    terminal.wait_for("> ")
    terminal.type("hi\n")
    terminal.wait_for("hi\r\n")
    terminal.wait_until(lambda shown: len(shown) > 20)
    terminal.type("\x03")
    terminal.wait_for("\n> ")
    terminal.type("half a line")
    terminal.wait_for("half a line")
    terminal.type("\x03")
    terminal.wait_for("\n> ")
    terminal.type(f"/save {tmp_path / 'kept.jsonl'}\n")
    terminal.wait_for("saved in")
    terminal.wait_for("> ")
    terminal.type("/rest\n")
    terminal.wait_for("did you mean '/reset'?")
    terminal.wait_for("> ")
    terminal.type("/quit\n")
    assert terminal.process.wait(timeout=30) == 0
    user, assistant = map(json.loads, (tmp_path / "kept.jsonl").read_text().splitlines())
    assert user == {"role": "user", "text": "hi"}
    assert len(assistant["text"]) > 10


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_at_an_empty_prompt_and_ctrl_d_end_the_chat(open_terminal: Open, model: Path, key: str) -> None:
    terminal = open_terminal(model)
    terminal.wait_for("> ")
    time.sleep(0.2)  # readline has drawn the prompt, and is about to read
    terminal.type(key)
    assert terminal.process.wait(timeout=30) == 0


def test_ctrl_c_without_a_terminal_ends_the_program(model: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "textwright", "chat", str(model), "--max-new-tokens", "1000000", "--temperature", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hi\n")
    process.stdin.flush()
    assert process.stdout.read(10)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "textwright: stopped by Ctrl-C"
