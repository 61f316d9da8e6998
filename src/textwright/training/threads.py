"""How many threads a step is computed with, when other programs want the processor too.

The threads of a product meet at its end. Where another program has one of their cores, all wait for the one that has
to share, and they wait spinning: on two cores, one of them busy, a small model trains two and a half times faster on
one thread than on two (docs/experiments.md).
"""

import contextlib
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

WINDOW_S = 0.6
"""Steps are looked at together for so long, or for one step that takes longer."""
SWITCHES_PER_S = 70
"""Times a second that the system takes a core from one of our threads, above which somebody else wants it: where
nobody does there are some 30, and beside one busy program some 190."""
SQUEEZED = 0.93
"""Of the processor time that our threads would have if nobody else wanted any."""
IDLE_CORES = 0.7
"""Cores with nothing to do, from which one more thread is tried."""
GAIN = 1.08
"""How much faster another number of threads must be to be kept."""
RETRY_S, MAX_RETRY_S = 10.0, 120.0
"""After a number of threads that was tried in vain, so long nothing is tried; twice as long after the next."""
PARALLEL_GAIN = 0.75
"""What a thread is worth beside others, about, of what it is worth alone."""


@dataclass(frozen=True)
class Use:
    """What was used of the machine up to a moment."""

    wall_s: float
    cpu_s: float
    num_switches: int
    """Times that a core was taken from one of our threads."""
    idle_s: float | None
    """Processor time that nobody used, of all cores; None where the system does not say."""

    @classmethod
    def now(cls) -> "Use":
        """Up to now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(time.perf_counter(), used.ru_utime + used.ru_stime, used.ru_nivcsw, _idle_s())


class Threads:
    """Sets torch's number of threads, by what steps take.

    A number is tried where others squeeze our threads, or where cores lie idle, and kept where steps are faster by
    ``GAIN``. Nothing is tried where the number was given, or on a GPU.

    Args:
        given: the number of threads; when None, as many as torch takes, and fewer while others want the cores.
        device: where the steps run.
        change_s: what the first step after a change takes longer: compiled code is compiled anew for it.
        read: what is used of the machine; tests hand over their own.
    """

    def __init__(
        self,
        given: int | None,
        device: torch.device,
        *,
        change_s: float = 0.0,
        read: Callable[[], Use] = Use.now,
    ) -> None:
        self._before = torch.get_num_threads()
        if given is not None:
            torch.set_num_threads(given)
        self.most = given or self._before
        self.number = self.most
        self.tokens_per_s: float | None = None
        """Of the last whole window."""
        self._is_free = given is None and device.type == "cpu" and self.most > 1
        self._change_s, self._read = change_s, read
        self._steps: list[float] = []
        self._tokens = 0
        self._begun = read()
        self._is_first = False
        self._tried: _Trial | None = None
        self._retry_s, self._next_trial_s = RETRY_S, 0.0
        self._squeezed_since_s: float | None = None
        self._best_tokens_per_s = 0.0
        self._share = 1.0
        """Of its threads' time that the last window got."""
        self._has_said = False
        self._line: str | None = None
        self._speedup_to_say: float | None = None
        """By which fewer threads were faster before the first step; said once tokens were counted."""

    def close(self) -> None:
        """Give torch the number of threads it had before."""
        torch.set_num_threads(self._before)

    def look(self, work: Callable[[], object]) -> None:
        """Before the first step: where others want the cores, take fewer threads at once.

        Args:
            work: some hundredths of a second of what steps do; it is done again and again.
        """
        if not self._is_free:
            return
        work()
        begun = self._read()
        before_s = _median_seconds(work)
        if not self._is_squeezed(begun, self._read()):
            return
        all_s = before_s
        while self.number > 1:
            self._set(self.number - 1)
            work()
            found_s = _median_seconds(work)
            if found_s * GAIN > before_s:
                self._set(self.number + 1)
                break
            before_s = found_s
        if self.number < self.most:
            self._speedup_to_say = all_s / before_s
        self._is_first = False
        self._begin_window()

    def note_step(self, seconds: float, tokens: int) -> None:
        """Take one more step into account."""
        if self._is_first and seconds < WINDOW_S:
            self._is_first = False  # the first step after a change starts threads, or compiles
            self._begin_window()
            return
        self._is_first = False
        self._steps.append(seconds)
        self._tokens += tokens
        if sum(self._steps) < WINDOW_S:
            return
        now = self._read()
        step_s, self.tokens_per_s = statistics.median(self._steps), self._tokens / sum(self._steps)
        if self._is_free:
            self._decide(step_s, now)
        self._begin_window()

    def take_line(self) -> str | None:
        """What people should know, once."""
        line, self._line = self._line, None
        return line

    def _is_squeezed(self, begun: Use, now: Use) -> bool:
        """Whether others wanted the cores that our threads are on."""
        wall_s = max(1e-9, now.wall_s - begun.wall_s)
        self._share = min(1.0, (now.cpu_s - begun.cpu_s) / (self.number * wall_s))
        return (now.num_switches - begun.num_switches) / wall_s > SWITCHES_PER_S and self._share < SQUEEZED

    def _decide(self, step_s: float, now: Use) -> None:
        """What to do at the end of a window."""
        begun = self._begun
        if self._tried is not None:
            self._judge(step_s, now)
            return
        is_squeezed = self._is_squeezed(begun, now)
        if self._speedup_to_say is not None:
            self._say_fewer(self._speedup_to_say)
            self._speedup_to_say = None
        if not is_squeezed:
            self._squeezed_since_s = None
            if self.number == self.most and self.tokens_per_s is not None:
                self._best_tokens_per_s = max(self._best_tokens_per_s, self.tokens_per_s)
        elif self._squeezed_since_s is None:
            self._squeezed_since_s = now.wall_s  # the next window is squeezed as a whole, and what steps take tells
            return
        if now.wall_s < self._next_trial_s or (self.number == 1 and is_squeezed):
            if is_squeezed and not self._has_said:
                self._has_said, self._line = True, self._busy()
            return
        squeezed_s = now.wall_s - self._squeezed_since_s if self._squeezed_since_s is not None else 0.0
        if self.number > 1 and is_squeezed and squeezed_s > 4 * self._change_s:
            self._try(self.number - 1, step_s)
        elif self.number < self.most and _idle_cores(begun, now) > IDLE_CORES:
            self._try(self.number + 1, step_s)

    def _try(self, number: int, step_s: float) -> None:
        self._tried = _Trial(self.number, step_s)
        self._set(number)

    def _judge(self, step_s: float, now: Use) -> None:
        """Whether the number that was tried stays."""
        assert self._tried is not None
        trial, self._tried = self._tried, None
        if step_s * GAIN > trial.step_s:
            self._set(trial.number)
            self._next_trial_s = now.wall_s + self._retry_s
            self._retry_s = min(MAX_RETRY_S, 2 * self._retry_s)
            return
        self._retry_s = RETRY_S
        self._squeezed_since_s = None
        speedup = trial.step_s / step_s
        if self.number > trial.number:
            self._has_said = False
            self._line = f"the machine has room again: on {self._threads()} from here, {speedup:.1f} times faster"
            return
        self._is_squeezed(self._begun, now)
        self._say_fewer(speedup)

    def _say_fewer(self, speedup: float) -> None:
        self._has_said = True
        self._line = f"{self._busy()}, on {self._threads()} from here, which is {speedup:.1f} times faster"

    def _threads(self) -> str:
        return "1 thread" if self.number == 1 else f"{self.number} threads"

    def _busy(self) -> str:
        """What is done of what the machine would do, about, if nobody else wanted it."""
        assert self.tokens_per_s is not None
        alone = self.tokens_per_s / max(0.1, self._share) * self.most / self.number
        expected = max(self._best_tokens_per_s, alone * (1.0 if self.number == self.most else PARALLEL_GAIN))
        return f"this machine is busy: {self.tokens_per_s:,.0f} of some {_rounded(expected):,.0f} tokens/s"

    def _set(self, number: int) -> None:
        torch.set_num_threads(number)
        self.number, self._is_first = number, True

    def _begin_window(self) -> None:
        self._steps.clear()
        self._tokens = 0
        self._begun = self._read()


@dataclass(frozen=True)
class _Trial:
    """What a number of threads is compared with."""

    number: int
    step_s: float


def _median_seconds(work: Callable[[], object]) -> float:
    """Of some turns of it, for about half a window."""
    taken: list[float] = []
    while len(taken) < 2 or sum(taken) < WINDOW_S / 2:
        begun_s = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun_s)
    return statistics.median(taken)


def _idle_cores(begun: Use, now: Use) -> float:
    if begun.idle_s is None or now.idle_s is None:
        return 0.0
    return (now.idle_s - begun.idle_s) / max(1e-9, now.wall_s - begun.wall_s)


def _idle_s() -> float | None:
    """From Linux's own count, proc(5)."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")
    return None


def _rounded(value: float) -> float:
    """To two digits: it is a guess."""
    digits = len(f"{value:.0f}") - 2
    return round(value, -max(0, digits))
