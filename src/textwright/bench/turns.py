"""Programs in processes of their own, which take turns: what every comparison is made with."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from textwright.core.errors import InputError

Say = Callable[[str], None]
"""Gets a line of progress."""


@dataclass
class Worker:
    """A peer in a process of its own. It answers one JSON object when it is ready, and one to each line."""

    peer: str
    process: subprocess.Popen[str]
    ready: dict[str, Any] = field(default_factory=dict)
    """Its first answer."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    """Of its turns."""

    @classmethod
    def start(cls, peer: str, program: Sequence[str], threads: int) -> Self:
        """Start a program and wait until it is ready.

        Args:
            peer: its name.
            program: a module of ours and its arguments.
            threads: of the libraries that read ``OMP_NUM_THREADS``.

        Raises:
            InputError: it could not be run.
        """
        process = subprocess.Popen(  # noqa: S603 - this interpreter and plain values
            [sys.executable, "-m", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
        worker = cls(peer, process)
        try:
            worker.ready = worker._answer()
        except InputError:
            worker.stop()
            raise
        return worker

    def turn(self, request: str) -> None:
        """Have it do what the line asks for, and keep its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{request}\n")
        self.process.stdin.flush()
        self.answers.append(self._answer())

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise InputError(
                f"{self.peer} could not be run, and said why above",
                fix="install textwright[bench] and a C++ compiler, or choose others with --peers",
            )
        values: dict[str, Any] = json.loads(line)
        return values

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


@contextmanager
def start_all(programs: Mapping[str, Sequence[str]], threads: int, say: Say) -> Iterator[dict[str, Worker]]:
    """A worker for each program, by name; they are stopped at the end."""
    with ExitStack() as stack:
        workers = {}
        for peer, program in programs.items():
            say(f"preparing {peer}")
            workers[peer] = Worker.start(peer, program, threads)
            stack.callback(workers[peer].stop)
        yield workers


def take_turns(workers: Mapping[str, Worker], requests: Mapping[str, str], turns: int, say: Say) -> None:
    """Every worker takes a turn with its request, again and again."""
    for turn in range(turns):
        say(f"turn {turn + 1} of {turns}")
        for peer, worker in workers.items():
            worker.turn(requests[peer])
