"""What a model writes must not command a terminal, and Ctrl-C must not leave anything half done."""

import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.core.interrupts import finish_piece_first
from textwright.core.terminal import for_output, without_controls


@given(st.text())
def test_no_control_character_gets_through_and_all_else_stays(text: str) -> None:
    clean = without_controls(text)
    assert len(clean) == len(text)
    for before, after in zip(text, clean, strict=True):
        is_control = (ord(before) < 0x20 or 0x7F <= ord(before) < 0xA0) and before not in "\n\t"
        assert after == ("\ufffd" if is_control else before)


def test_a_terminal_is_protected_and_a_file_gets_every_character(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b]0;title\x07\x9b2J\r月🙂\n"
    assert for_output(evil) == evil
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert for_output(evil) == "\ufffd]0;title\ufffd\ufffd2J\ufffd月🙂\n"


def test_ctrl_c_waits_for_the_piece_in_hand() -> None:
    handed: list[str] = []
    with pytest.raises(KeyboardInterrupt) as stopped, finish_piece_first(handed.append) as on_text:
        signal.raise_signal(signal.SIGINT)
        handed.append("still computing")
        on_text("piece")
        handed.append("never")
    assert handed == ["still computing", "piece"]
    assert not stopped.value.args
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_after_the_last_piece_is_not_lost_and_a_second_one_is_obeyed_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), finish_piece_first(print):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as stopped, finish_piece_first(print):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
    assert stopped.value.args == (signal.SIGINT,)
