"""Code that a model wrote, run where it can do no harm: under bubblewrap, with limits.

::

    parent ──program──> bwrap: no network, a read-only system, an empty folder of its own
       │                   └─ python -I: limits of a process ──> the program ──> the mark, if it came to its end
       └─ looks on: seconds, memory and processes of all together, output; past a limit everything is killed

Only what reached the end of its tests has passed: the mark is a number that the program is not told, and leaving early
with exit code 0 does not print it.

Where namespaces are forbidden, as in many containers, code runs only for who trusts it: with the limits alone.
"""

import contextlib
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Literal

from textwright.core.errors import InputError

LOOK_S = 0.02
"""Between two looks at what a program uses."""
GRACE_S = 1.0
"""The interpreter may take so long to start, beside the program's own seconds."""
Outcome = Literal["passed", "failed", "seconds", "memory", "processes", "output"]


@dataclass(frozen=True)
class Limits:
    """What a program may take."""

    seconds: float = 10.0
    """On the clock."""
    memory_bytes: int = 1 << 30
    """Of all its processes together."""
    num_processes: int = 16
    """At once, and threads with them."""
    output_bytes: int = 1 << 16
    file_bytes: int = 1 << 24
    """Of one file, and of its folder."""


@dataclass(frozen=True)
class Ran:
    """How a program ended."""

    outcome: Outcome
    """``passed``, ``failed``, or the limit that stopped it."""
    output: str
    """What it printed, errors too: the last of it."""

    @property
    def has_passed(self) -> bool:
        """Whether it came to its end."""
        return self.outcome == "passed"


class Sandbox:
    """Runs Python programs.

    Args:
        limits: for each.
        trusts_code: run it without namespaces where there are none: it can then read, write and send whatever the
            user can.

    Raises:
        InputError: there is no way to hold code in, and nobody said that it is trusted.
    """

    def __init__(self, limits: Limits | None = None, *, trusts_code: bool = False) -> None:
        self.limits = limits or Limits()
        problem = why_not_isolated()
        self.is_isolated = problem is None
        if problem is not None and not trusts_code:
            raise InputError(
                f"code that a model writes cannot be held in here: {problem}",
                fix="install bubblewrap where namespaces are allowed; or, if it may do whatever you may, --trust-code",
            )

    def run(self, program: str) -> Ran:
        """Run a program to its end."""
        if self.is_isolated:
            return self._run([*_bubblewrap(self.limits), *_interpreter()], program, Path("/"))
        with tempfile.TemporaryDirectory() as folder:
            return self._run(_interpreter(), program, Path(folder))

    def _run(self, command: list[str], program: str, folder: Path) -> Ran:
        mark = secrets.token_hex(16)
        limits = self.limits
        numbers = (int(limits.seconds) + 3, limits.memory_bytes, limits.num_processes, limits.file_bytes)
        process = subprocess.Popen(  # noqa: S603 - no shell, and our own words
            [*command, mark, *map(str, numbers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"},  # noqa: S108 - inside
            start_new_session=True,
        )
        try:
            outcome, raw = _watch(process, program.encode("utf-8", errors="replace"), limits)
        finally:
            _kill(process)
        if outcome is None:
            outcome = "passed" if raw.endswith(f"{mark}\n".encode()) and process.returncode == 0 else "failed"
        text = raw.decode("utf-8", errors="replace").removesuffix(f"{mark}\n")
        return Ran(outcome, text)


@cache
def why_not_isolated() -> str | None:
    """Why bubblewrap cannot be used here; None where it can."""
    found = shutil.which("bwrap")
    if found is None:
        return "bubblewrap (bwrap) is not installed"
    tried = subprocess.run(  # noqa: S603
        [*_bubblewrap(Limits()), *_interpreter(), "mark", "10", str(1 << 30), "16", "1000"],
        input=b"pass",
        capture_output=True,
        timeout=30,
        check=False,
    )
    if tried.returncode == 0:
        return None
    return f"bubblewrap says {tried.stderr.decode(errors='replace').strip()[:200]!r}"


def _bubblewrap(limits: Limits) -> list[str]:
    """The command that holds in what follows it."""
    system = [path for path in ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache") if Path(path).exists()]
    python = {str(Path(path).resolve()) for path in (sys.base_prefix, sys.prefix, Path(sys.executable).parent)}
    read_only = [option for path in (*system, *sorted(python)) for option in ("--ro-bind", path, path)]
    return [
        str(shutil.which("bwrap")),
        *("--unshare-all", "--die-with-parent", "--new-session", "--clearenv"),
        *("--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", "/tmp", "--setenv", "LC_ALL", "C.UTF-8"),  # noqa: S108
        *read_only,
        *("--dev", "/dev", "--size", str(limits.file_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"),  # noqa: S108
        *("--cap-drop", "ALL", "--remount-ro", "/"),
        "--",
    ]


def _interpreter() -> list[str]:
    return [str(Path(sys.executable).resolve()), "-I", "-S", "-B", "-c", BOOTSTRAP]


BOOTSTRAP = """
import os, resource, sys
mark, seconds, memory, processes, file_size = sys.argv[1], *map(int, sys.argv[2:6])
for limit, value in (
    (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, memory), (resource.RLIMIT_NPROC, processes),
    (resource.RLIMIT_FSIZE, file_size), (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(limit, (value, value))
program = sys.stdin.buffer.read().decode()
sys.argv[1:] = []
end = os.dup(1)

def run(program):
    exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})

run(program)
sys.stdout.flush()
os.write(end, (mark + "\\n").encode())
os._exit(0)
"""
"""What the interpreter does first: it takes its limits, and then runs what it reads."""


def _watch(process: "subprocess.Popen[bytes]", program: bytes, limits: Limits) -> tuple[Outcome | None, bytes]:
    """Read what a program prints until it ends; the limit that it passed, if any, and its output."""
    assert process.stdin is not None
    assert process.stdout is not None
    deadline_s = time.monotonic() + limits.seconds + GRACE_S
    _hand_over(process.stdin, program)
    raw = bytearray()
    while True:
        ready, _, _ = select.select([process.stdout], [], [], LOOK_S)
        if ready:
            part = os.read(process.stdout.fileno(), 1 << 16)
            raw += part
            if len(raw) > limits.output_bytes:
                return "output", bytes(raw[-limits.output_bytes :])
            if not part and process.poll() is not None:
                return None, bytes(raw)
            if not part:
                time.sleep(LOOK_S / 10)  # it closed its output, and goes on
        most = limits.num_processes + 2  # bubblewrap's own two
        num_processes, memory_bytes = usage(process.pid, most)
        if num_processes > most:
            return "processes", bytes(raw)
        if memory_bytes > limits.memory_bytes:
            return "memory", bytes(raw)
        if time.monotonic() > deadline_s:
            return "seconds", bytes(raw)


def _hand_over(stdin: IO[bytes], program: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # it ended before it read: how, its output says
        stdin.write(program)
        stdin.close()


def usage(process_id: int, most: int) -> tuple[int, int]:
    """Threads of a process and of all that it started, and the memory that they hold, in bytes.

    Past ``most`` no more are counted: others may be born faster.
    """
    number, memory_bytes, page = 0, 0, os.sysconf("SC_PAGE_SIZE")
    waiting = [process_id]
    while waiting and number <= most:
        folder = Path("/proc") / str(waiting.pop())
        try:
            memory_bytes += page * int((folder / "statm").read_text().split()[1])
            for task in (folder / "task").iterdir():
                number += 1
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return number, memory_bytes


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End it with all that it started: its namespace dies with it, or else its process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
