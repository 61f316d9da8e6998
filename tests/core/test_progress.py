"""How far something is, as a person reads it."""

import pytest

from textwright.core.progress import bar, duration


def test_durations_read_as_a_person_says_them() -> None:
    assert [duration(s) for s in (4.6, 185, 7800)] == ["5 s", "3 min 05 s", "2 h 10 min"]


def test_elsewhere_than_in_a_terminal_a_bar_says_now_and_then_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = 100.0
    monkeypatch.setattr("textwright.core.progress.time.monotonic", lambda: clock_s)
    with bar("measuring", 1000) as progress:
        for done in range(0, 1001, 100):
            progress(done)
            clock_s += 6
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "measuring ..."
    assert lines[1] == "measuring: 20%, time left 48 s"
    assert 3 < len(lines) < 8
