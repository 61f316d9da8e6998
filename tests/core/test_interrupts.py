"""Ctrl-C must not leave anything half done."""

import signal

import pytest

from textwright.core.interrupts import finish_piece_first


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
