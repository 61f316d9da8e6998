"""What commands show in a terminal: no escape sequence of a model's, a file's or a user's, and no dead ends."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import TEXT, Run
from tests.cli.test_bad_input import assert_one_line
from textwright.api import run_callbacks
from textwright.api.config import RunConfig
from textwright.core.console import command_line

EVIL = "\x1b]0;title\x07\x9b2J"
ENGINE = ("--engine", "torch")


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_terminal(textwright: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``at_terminal("generate", ...)``: all that the command shows in a terminal."""

    def run(*arguments: object) -> str:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        textwright(*arguments)
        return screen.getvalue()

    return run


def assert_harmless(shown: str, *parts: str) -> None:
    for evil in ("\x1b]", "\x07", "\x9b"):
        assert evil not in shown
    for part in parts:
        assert part in shown, shown


def test_errors_quote_what_was_typed_without_its_sequences(
    at_terminal: Callable[..., str], finished_run: Path, tmp_path: Path
) -> None:
    assert_harmless(at_terminal("generate", EVIL), "title")
    assert_harmless(at_terminal("generate", EVIL, "--json"), "title")
    assert_harmless(at_terminal(EVIL), "title")
    assert_harmless(at_terminal("train", f"--{EVIL}", "3"), "title")
    assert_harmless(at_terminal("train", "--data", EVIL, "--out", tmp_path / "run"), "title")
    assert_harmless(at_terminal("evaluate", finished_run / "model", "--text", EVIL), "title")
    assert_harmless(at_terminal("runs", "watch", EVIL), "title")


def test_a_models_text_a_prompt_and_a_tokenizers_tokens_reach_a_terminal_without_sequences(
    at_terminal: Callable[..., str], textwright: Run, finished_run: Path
) -> None:
    model = finished_run / "model"
    # The token of a byte has its number: this model writes nothing but ESC.
    evil = ("--max-new-tokens", 4, "--logit-bias", "27=100", "--seed", 1, *ENGINE)
    piped = textwright("generate", model, "a", *evil)
    assert piped.out == "a" + "\x1b" * 4 + "\n"
    assert_harmless(at_terminal("generate", model, EVIL, *evil), "\ufffd]0;title", "\ufffd" * 4)
    assert_harmless(at_terminal("generate", model, EVIL, "b", "--top-logprobs", 2, *evil), "\ufffd]0;title")
    assert_harmless(at_terminal("generate", model, EVIL, "--json", *evil), "\\u001b]0;title")
    assert_harmless(at_terminal("tokenizer", "inspect", model, EVIL), "14 tokens")


def test_a_chats_answers_reach_a_terminal_without_sequences(
    at_terminal: Callable[..., str], finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("hi\n"))
    evil = ("--max-new-tokens", 4, "--logit-bias", "27=100", *ENGINE)
    assert_harmless(at_terminal("chat", finished_run / "model", *evil), "\ufffd" * 4)


def test_folders_with_odd_names_are_listed_measured_and_deleted_without_sequences(
    at_terminal: Callable[..., str], finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / EVIL
    odd.mkdir()
    for path in finished_run.iterdir():
        if path.is_file():
            (odd / path.name).write_bytes(path.read_bytes())
    assert_harmless(at_terminal("runs", "list", tmp_path))
    assert_harmless(at_terminal("runs", "disk", tmp_path))
    monkeypatch.chdir(tmp_path)  # a panel's title has no room for a long path
    assert_harmless(at_terminal("runs", "watch", odd.name), "title")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert_harmless(at_terminal("runs", "delete", odd), "delete", "title", "kept")
    assert_harmless(at_terminal("runs", "delete", odd, "--yes"), "deleted")


def test_the_demo_shows_samples_and_completions_without_sequences_and_what_to_type(
    at_terminal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run_callbacks.SAMPLE.model_copy(update={"max_new_tokens": 80})
    monkeypatch.setattr(run_callbacks, "SAMPLE", whole)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text("".join(f"{EVIL} {name} {number} {TEXT}" for number in range(60)))
    out = tmp_path / "demo's run"
    texts = [tmp_path / f"{name}.txt" for name in ("a", "b", "c")]
    shown = at_terminal("demo", "--text", *texts, "--minutes", 0.05, "--out", out, "--device", "cpu")
    assert_harmless(shown, "title", "measuring on the held-out text", "What to type next")
    assert command_line("generate", out / "model", "def main():", "--temperature", 0.7) in shown


def test_a_bug_of_ours_is_a_traceback_that_does_not_command_the_terminal(
    at_terminal: Callable[..., str], textwright: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_: object) -> None:
        raise AssertionError(EVIL)

    monkeypatch.setattr("textwright.commands.runs.find_runs", fail)
    done = textwright("runs", "list", tmp_path, "--json")
    assert done.code == 1
    assert "AssertionError" in done.json["error"]
    assert_harmless(at_terminal("runs", "list", tmp_path), "Traceback", "title")


def test_resume_refuses_every_option_that_it_would_not_heed(textwright: Run, finished_run: Path) -> None:
    values = {
        "invalid_utf8": ("--invalid-utf8", "replace"),
        "quoting": ("--quoting", "none"),
        "null_text": ("--null-text", "skip"),
        "tasks": ("--tasks", "classification=x.tsv"),
        "model": ("--model.preset", "nano"),
        "config": ("--config", "x.toml"),
    }
    names = [*(name for name in RunConfig.model_fields if name != "training"), "out", "config"]
    assert {"data", "text_field", "invalid_utf8", "tokenizer", "model", "out", "config"} <= set(names)
    for name in names:
        option = f"--{name.replace('_', '-')}"
        done = textwright("train", "--resume", finished_run, *values.get(name, (option, "x")))
        assert_one_line(done, f"--resume with {option}")


def test_accepting_changed_data_without_a_run_is_refused(textwright: Run, text_file: Path) -> None:
    assert_one_line(textwright("train", "--data", text_file, "--accept-changed-data"), "without --resume")


def test_every_command_that_computes_takes_a_device(textwright: Run, finished_run: Path, text_file: Path) -> None:
    data = ("--data", text_file, "--tokenizer", "byte", "--model.preset", "nano", "--steps", 1, "--batch-size", 2)
    model = finished_run / "model"
    for arguments in (
        ("train", *data, "--out", finished_run.parent / "none"),
        ("train", "--resume", finished_run),
        ("plan", *data),
        ("demo", "--text", text_file, "--out", finished_run.parent / "none"),
        ("evaluate", model, "--text", text_file),
        ("embed", model, "a"),
        ("generate", model, "a"),
        ("chat", model),
    ):
        assert_one_line(textwright(*arguments, "--device", "tpu"), "device 'tpu'", "auto, cpu")


def test_what_takes_a_while_is_said_before_on_standard_error(
    textwright: Run, finished_run: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.core.console.MOMENT_S", 0)
    model = finished_run / "model"
    for arguments, said in (
        (("generate", model, "a", "--max-new-tokens", 1, *ENGINE), f"loading {model} ..."),
        (("evaluate", model, "--text", text_file), "evaluating ..."),
        (("embed", model, "a"), "embedding ..."),
        (("tokenizer", "train", text_file, "--kind", "byte", "--out", tmp_path / "t"), "reading the text"),
    ):
        done = textwright(*arguments, "--json")
        assert said in done.err
        assert isinstance(done.json, dict)


def test_an_answer_that_is_empty_is_said_to_be(
    textwright: Run, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options in ((), ("--json",)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"hi\n"), encoding="utf-8"))
        # 256 is the end token of a tokenizer of bytes.
        done = textwright("chat", finished_run / "model", "--logit-bias", "256=100", *ENGINE, *options)
        assert done.code == 0
        assert "the answer is empty" in done.err


def test_fit_shows_how_it_goes_unless_it_is_to_be_quiet(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import textwright as tw

    model = tw.load(finished_run / "model")
    capsys.readouterr()
    model.fit([TEXT * 20], steps=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "training to step 2" in err
    model.fit([TEXT * 20], steps=2, quiet=True)
    assert capsys.readouterr() == ("", "")


def test_make_says_what_it_installs_before_it_does() -> None:
    makefile = (Path(__file__).parent.parent.parent / "Makefile").read_text()
    for rule in makefile.split("\n\n"):
        if "pip install" in rule:
            assert "--quiet" not in rule
            assert rule.index("echo") < rule.index("pip install")
