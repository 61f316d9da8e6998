"""Threads follow what steps take beside other programs, and nothing is changed where nothing is to be gained."""

from collections.abc import Callable, Iterator

import pytest
import torch

from textwright.training.threads import Threads, Use

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Machine:
    """Two cores and a clock, with as many other programs on them as the test says."""

    def __init__(self) -> None:
        self.others = 0
        self.wall_s, self.cpu_s, self.idle_s, self.switches = 0.0, 0.0, 0.0, 0.0
        self.step_s: dict[tuple[int, int], float] = {
            # (threads, others) -> what a step takes
            (2, 0): 0.1,
            (1, 0): 0.16,
            (2, 1): 0.4,
            (1, 1): 0.16,
        }

    def use(self) -> Use:
        return Use(self.wall_s, self.cpu_s, int(self.switches), self.idle_s)

    def step(self, threads: int) -> float:
        seconds = self.step_s[threads, self.others]
        share = min(threads, 2 - 0.75 * self.others) if threads == 2 else 1.0
        self.wall_s += seconds
        self.cpu_s += share * seconds
        self.idle_s += max(0.0, 2 - threads - self.others) * seconds
        self.switches += (190 if self.others and threads == 2 else 25) * seconds
        return seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


def run(threads: Threads, machine: Machine, num_steps: int) -> list[str]:
    said = []
    for _ in range(num_steps):
        threads.note_step(machine.step(threads.number), 100)
        said.append(threads.take_line())
    return [line for line in said if line is not None]


def test_on_a_quiet_machine_nothing_is_ever_tried(machine: Machine) -> None:
    threads = Threads(None, CPU, read=machine.use)
    numbers = set()
    for _ in range(200):
        assert run(threads, machine, 1) == []
        numbers.add(threads.number)
    assert numbers == {2}


def test_beside_a_busy_program_it_takes_one_thread_and_says_so(machine: Machine) -> None:
    threads = Threads(None, CPU, read=machine.use)
    run(threads, machine, 20)
    machine.others = 1
    said = run(threads, machine, 20)
    assert threads.number == torch.get_num_threads() == 1
    assert len(said) == 1
    assert said[0].startswith("this machine is busy: 625 of some 1,000 tokens/s, on 1 thread from here")


def test_when_the_other_program_ends_it_takes_both_again(machine: Machine) -> None:
    threads = Threads(None, CPU, read=machine.use)
    machine.others = 1
    run(threads, machine, 20)
    machine.others = 0
    said = run(threads, machine, 60)
    assert threads.number == 2
    assert "room again" in said[0]


def test_a_number_that_is_no_faster_is_taken_back_and_tried_ever_more_rarely(machine: Machine) -> None:
    machine.step_s[1, 1] = 0.5
    machine.others = 1
    threads = Threads(None, CPU, read=machine.use)
    tried = 0
    while machine.wall_s < 200:
        before = threads.number
        run(threads, machine, 1)
        tried += before == 2 and threads.number == 1
    assert threads.number == 2
    assert tried <= 6


@pytest.mark.parametrize("make", [lambda m: Threads(2, CPU, read=m.use), lambda m: Threads(1, CPU, read=m.use)])
def test_a_given_number_stays(machine: Machine, make: Callable[[Machine], Threads]) -> None:
    threads = make(machine)
    given = threads.number
    machine.others = 1
    assert run(threads, machine, 50) == []
    assert threads.number == given == torch.get_num_threads()
    threads.close()
    assert torch.get_num_threads() == 2


def test_a_machine_that_is_busy_from_the_beginning_is_seen_before_the_first_step(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.training.threads.time.perf_counter", lambda: machine.wall_s)
    machine.others = 1
    threads = Threads(None, CPU, read=machine.use)
    threads.look(lambda: machine.step(threads.number))
    assert threads.number == 1
    (said,) = run(threads, machine, 10)
    assert said.startswith("this machine is busy: 625 of some 940 tokens/s, on 1 thread from here, which is 2.5 times")


def test_a_quiet_machine_keeps_its_threads_at_the_first_look(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textwright.training.threads.time.perf_counter", lambda: machine.wall_s)
    threads = Threads(None, CPU, read=machine.use)
    threads.look(lambda: machine.step(threads.number))
    assert threads.number == 2
    assert machine.wall_s < 1


def test_where_nothing_helps_it_says_once_that_the_machine_is_busy(machine: Machine) -> None:
    machine.step_s[1, 1] = 0.5
    threads = Threads(None, CPU, read=machine.use)
    run(threads, machine, 20)
    machine.others = 1
    assert run(threads, machine, 40) == ["this machine is busy: 250 of some 1,000 tokens/s"]


def test_compiled_steps_change_only_where_others_stay(machine: Machine) -> None:
    threads = Threads(None, CPU, change_s=30, read=machine.use)
    machine.others = 1
    run(threads, machine, 100)  # 40 seconds
    assert threads.number == 2
    run(threads, machine, 300)
    assert threads.number == 1


def test_it_reads_this_process() -> None:
    before = Use.now()
    sum(range(2_000_000))
    after = Use.now()
    assert after.cpu_s > before.cpu_s
    assert after.wall_s > before.wall_s
