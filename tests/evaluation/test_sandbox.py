"""Code that a model wrote: it is judged, and what it does stays inside."""

import time
from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.evaluation import sandbox
from textwright.evaluation.sandbox import Limits, Sandbox, why_not_isolated

REASON = why_not_isolated()
needs_bubblewrap = pytest.mark.skipif(REASON is not None, reason=f"no isolation here: {REASON}")
SHORT = Limits(seconds=0.5)


@pytest.fixture(params=["isolated", "trusted"])
def box(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Both ways in which code runs."""
    if request.param == "isolated":
        if REASON is not None:
            pytest.skip(f"no isolation here: {REASON}")
        return Sandbox(SHORT)
    monkeypatch.setattr(sandbox, "why_not_isolated", lambda: "namespaces are forbidden")
    return Sandbox(SHORT, trusts_code=True)


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("import math\nassert math.gcd(12, 18) == 6", "passed"),
        ("def f(x): return x + 1\nassert f(1) == 3", "failed"),
        ("def f(:", "failed"),
        ("import sys\nsys.exit(0)\nassert False", "failed"),
        ("import os\nos._exit(0)", "failed"),
        ("while True: pass", "seconds"),
        ("import time\ntime.sleep(60)", "seconds"),
        ("while True: print('x' * 1000)", "output"),
        ("input()", "failed"),
    ],
)
def test_only_what_comes_to_its_end_has_passed(box: Sandbox, program: str, outcome: str) -> None:
    begun_s = time.monotonic()
    assert box.run(program).outcome == outcome
    assert time.monotonic() - begun_s < 20


def test_what_went_wrong_is_told(box: Sandbox) -> None:
    assert "ZeroDivisionError" in box.run("1 / 0").output
    assert box.run("print('seen')").output == "seen\n"


@needs_bubblewrap
@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("x = []\nwhile True: x.append(bytearray(10**7))", {"failed", "memory"}),
        ("import os, time\nfor _ in range(5): os.fork()\ntime.sleep(60)", {"processes"}),
        ("import threading, time\nfor _ in range(40): threading.Thread(target=time.sleep, args=(1,)).start()",
         {"processes", "failed", "seconds"}),
        ("open('big', 'wb').write(b'x' * (1 << 25))", {"failed"}),
        ("for i in range(40): open(f'x{i}', 'wb').write(b'x' * (1 << 20))", {"failed"}),
        ("import socket\nsocket.create_connection(('192.0.2.1', 80), 1)", {"failed"}),
        ("open('/usr/x', 'w')", {"failed"}),
        ("open('/etc/passwd')", {"failed"}),
    ],
)  # fmt: skip
def test_what_takes_too_much_or_looks_outside_is_stopped(program: str, outcome: set[str]) -> None:
    assert Sandbox(Limits(seconds=4, memory_bytes=1 << 28)).run(program).outcome in outcome


@needs_bubblewrap
def test_nothing_outside_changes_and_nothing_of_here_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("as it was")
    monkeypatch.setenv("SECRET", "of the environment")
    box = Sandbox(SHORT)
    program = f"import os\nassert 'SECRET' not in os.environ\nassert not os.path.exists({str(tmp_path)!r})"
    assert box.run(program).has_passed
    assert box.run("open('/tmp/left', 'w').write('x')").has_passed
    assert box.run("import os\nassert not os.path.exists('/tmp/left')").has_passed
    assert not Path("/tmp/left").exists()
    assert (tmp_path / "secret").read_text() == "as it was"


def test_where_code_cannot_be_held_in_it_runs_for_who_trusts_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "why_not_isolated", lambda: "bubblewrap (bwrap) is not installed")
    with pytest.raises(InputError, match=r"bubblewrap \(bwrap\) is not installed; install .*--trust-code"):
        Sandbox()
    assert not Sandbox(trusts_code=True).is_isolated


def test_a_program_that_is_no_text_fails_alone(box: Sandbox) -> None:
    assert box.run("x = '\ud800'\nassert x == '?'").outcome == "passed"
