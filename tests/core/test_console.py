"""What a model writes must not command a terminal; files get every character; JSON is strict; commands can be typed."""

import ast
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

import textwright
from textwright.core.console import Console, command_line, stdout_console, strip_controls
from textwright.runs.display import TrainingDisplay

SOURCES = Path(textwright.__file__).parent
EVIL = "\x1b]0;title\x07\x9b2J\r月🙂"
SAFE = "\ufffd]0;title\ufffd\ufffd2J\ufffd月🙂"


class Terminal(io.StringIO):
    """A stream that is a terminal of a colour or of none."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@given(st.text())
def test_no_control_character_gets_through_and_all_else_stays(text: str) -> None:
    clean = strip_controls(text)
    assert len(clean) == len(text)
    for before, after in zip(text, clean, strict=True):
        is_control = (ord(before) < 0x20 or 0x7F <= ord(before) < 0xA0) and before not in "\n\t"
        assert after == ("\ufffd" if is_control else before)


def test_a_terminal_is_protected_and_a_file_gets_every_character() -> None:
    terminal, file = Terminal(), io.StringIO()
    Console(file=terminal).write(EVIL + "\n")
    Console(file=file).write(EVIL + "\n")
    assert terminal.getvalue() == SAFE + "\n"
    assert file.getvalue() == EVIL + "\n"


@pytest.mark.parametrize("setting", [{}, {"TTY_COMPATIBLE": "0"}, {"TERM": "dumb"}, {"NO_COLOR": "1"}])
def test_whatever_is_drawn_in_a_terminal_holds_no_sequence_of_someone_elses(
    setting: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL, Text(EVIL))
    for drawn in (EVIL, Text(EVIL), table, Panel(EVIL, title=EVIL), Panel(Text(EVIL), title=Text(EVIL))):
        terminal = Terminal()
        Console(file=terminal, width=200).print(drawn)
        assert "]0;title" in terminal.getvalue()
        for part in ("\x1b]", "\x07", "\x9b", "\r"):
            assert part not in terminal.getvalue()
    terminal = Terminal()
    Console(file=terminal, width=200).rule(EVIL)
    assert "\x1b]" not in terminal.getvalue()


def test_the_display_of_a_run_shows_samples_events_and_titles_without_their_sequences() -> None:
    terminal = Terminal()
    with TrainingDisplay(EVIL, Console(file=terminal, width=100)) as display:
        display.show({"kind": "event", "event": "started", "num_steps": 3, "message": EVIL})
        display.show({"kind": "sample", "step": 1, "text": EVIL * 30})
        display.note(EVIL)
    assert "title" in terminal.getvalue()
    for part in ("\x1b]", "\x07", "\x9b"):
        assert part not in terminal.getvalue()


def test_what_an_encoding_has_no_bytes_for_is_written_by_its_number() -> None:
    for encoding, shown in (("ascii", r"\u6708 \udce9"), ("utf-8", r"月 \udce9")):
        raw = io.BytesIO()
        screen = Console(file=io.TextIOWrapper(raw, encoding=encoding))
        screen.write("月 \udce9\n")
        screen.print("月 \udce9")
        screen.file.flush()
        assert raw.getvalue().decode(encoding) == f"{shown}\n{shown}\n"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_is_strict(encoding: str) -> None:
    raw = io.BytesIO()
    screen = Console(file=io.TextIOWrapper(raw, encoding=encoding))
    value = {
        "a": float("nan"),
        "b": [float("inf"), (1.5, True, None)],
        "c\udce9": "月\udce9\x9b\x1b🙂",
        "d": {"e": -1e999},
    }
    screen.write_json(value)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = raw.getvalue().decode(encoding)
    assert text.count("\n") == 1
    assert not set(text) & {"\x9b", "\x1b"}
    back = json.loads(text, parse_constant=refuse)
    assert back == {"a": None, "b": [None, [1.5, True, None]], "c\ufffd": "月\ufffd\x9b\x1b🙂", "d": {"e": None}}


def test_nothing_prints_around_the_console() -> None:
    # A program of a comparison answers its parent through a pipe.
    answers = {"bench/worker.py", "bench/writer.py"}
    found = []
    for path in SOURCES.rglob("*.py"):
        name = path.relative_to(SOURCES).as_posix()
        if name == "core/console.py" or name in answers:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in ("print", "input", "json.dump", "rich.print", "warnings.warn") or called.endswith(
                    ("stdout.write", "stderr.write", "stdout.buffer.write", "print_exc")
                ):
                    found.append(f"{name}:{node.lineno} {called}")
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
                found += [f"{name}:{node.lineno} rich's Console" for alias in node.names if alias.name == "Console"]
    assert found == []


def test_a_command_to_type_runs_as_it_is_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    wanted = ["odd 'name'", "a\nb\x1b", "月", "caf\udce9"]
    typed = command_line(*wanted)
    assert typed.isprintable()
    program = f'show() {{ printf \'%s\\0\' "$@"; }}; set -- {typed}; shift $(($# - 4)); show "$@"'
    done = subprocess.run(["bash", "-c", program], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == [os.fsencode(one) for one in wanted]


def test_the_program_is_named_as_the_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    script = folder / "textwright"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    other = tmp_path / "other"
    other.mkdir()
    (other / "textwright").write_text("#!/bin/sh\n")
    (other / "textwright").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.chdir(tmp_path)
    for path, program in (("", ".venv/bin/textwright"), (other, ".venv/bin/textwright"), (folder, "textwright")):
        monkeypatch.setenv("PATH", str(path))
        assert command_line("demo") == f"{program} demo"
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(folder)
    assert command_line() == "./textwright"
    monkeypatch.chdir(other)
    assert command_line() == str(script)
    script.unlink()
    assert shlex.split(command_line("demo")) == [str(folder / "python"), "-m", "textwright", "demo"]


def test_a_command_is_on_one_line_of_a_narrow_terminal() -> None:
    terminal = Terminal()
    Console(file=terminal, width=40).show_command("next:  ", "generate", "x" * 100, "Once upon a time")
    assert terminal.getvalue().count("\n") == 1


def test_the_consoles_are_the_streams_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    stdout_console().write("月\n")
    assert capsys.readouterr().out == "月\n"
