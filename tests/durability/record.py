"""Every kill point, every power cut, a hundred random kills, two hundred damages; the record is docs/reliability.md.

python -m tests.durability.record
"""

import datetime
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from rich.progress import track

from tests.durability.laboratory import Laboratory, build_shim
from tests.durability.oplog import Disk
from textwright.core.device import processor_name

RECORD = Path(__file__).parents[2] / "docs" / "reliability.md"
RANDOM_KILLS, RANDOM_STEPS, DAMAGES = 100, 3000, 200


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shim = build_shim(Path(folder))
        if shim is None:
            sys.exit("no C compiler: the shim cannot be made")
        with Laboratory(Path(folder), shim) as lab:
            acts = lab.acts()
            rows = [
                (
                    "killed (SIGKILL) before act 1, 2, 3, ... of the run",
                    *every("kills", range(1, len(acts) + 1), lab.survives_kill),
                ),
                *power_cuts(lab),
                (
                    f"{RANDOM_KILLS} SIGKILLs at random moments of one run of {RANDOM_STEPS:,} steps",
                    RANDOM_KILLS,
                    [failure] if (failure := lab.survives_random_kills(RANDOM_STEPS, RANDOM_KILLS, seed=1)) else [],
                ),
                (
                    "a process stopped for a minute (SIGSTOP), then let go on",
                    1,
                    [failure] if (failure := lab.survives_standstill(seconds=60, steps=100)) else [],
                ),
                (
                    "a bit flipped or a file cut in weights, optimizer state, manifests, shards",
                    *every("damages", range(DAMAGES), lab.notices_damage),
                ),
            ]
    kinds = Counter(act.kind for act in acts)
    write(rows, kinds)
    failures = [failure for _, _, failed in rows for failure in failed]
    for failure in failures:
        print(failure)
    sys.exit(1 if failures else 0)


def every(name: str, numbers: Iterable[int], trial: Callable[[int], str | None]) -> tuple[int, list[str]]:
    """How many trials there were, and what went wrong in those that failed."""
    numbers = list(numbers)
    found = [(number, trial(number)) for number in track(numbers, description=name)]
    return len(numbers), [f"{name} {number}: {failure}" for number, failure in found if failure]


def power_cuts(lab: Laboratory) -> list[tuple[str, int, list[str]]]:
    """After every act, a power cut that drops what was not synced, and one that lets some of it through."""
    acts, disk = lab.acts(), Disk()
    failures: dict[str, list[str]] = {"dropped": [], "cut": []}
    for number, act in enumerate(track(acts, description="power cuts"), 1):
        disk.do(act)
        for how, failed in failures.items():
            if failure := lab.survives_power_cut(disk, how, number):
                failed.append(f"power cut after act {number}, {how}: {failure}")
    return [
        ("power cut after act 1, 2, 3, ...: bytes not synced are lost", len(acts), failures["dropped"]),
        ("the same, a random part of them comes through", len(acts), failures["cut"]),
    ]


def write(rows: list[tuple[str, int, list[str]]], kinds: Counter[str]) -> None:
    """Write docs/reliability.md."""
    table = "\n".join(
        f"| {what} | {count:,} | {count - len(failed):,} | {len(failed)} |" for what, count, failed in rows
    )
    acts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    RECORD.write_text(
        f"""# Reliability: what was done to runs, and what became of them

Written by `make test-kill` on {datetime.date.today()}.
Machine: {processor_name()}, {platform.system()}, torch {torch.__version__}.

The run has dropout 0.1, Muon, gradient accumulation, bfloat16 and compilation on. It evaluates, samples, and saves in
the background. From its first file to its last it does {sum(kinds.values())} acts to files:
{acts}.

A trial held when `--resume` went on without being refused, and ended with the bits of the run that was left alone:
weights, optimizer state, journal, samples and shards, with nothing half-written left behind.

| trial | times | held | failed |
|---|---|---|---|
{table}

A shim between the program and the C library counts the acts and kills at the chosen one (`tests/durability/shim.c`).
For the power cuts the acts are recorded with their bytes and replayed up to each one; what no sync had brought to the
disk is then dropped, or cut at a random place (`tests/durability/oplog.py`). Names (creating, renaming, deleting) are
taken to reach the disk in their order, as journaling file systems keep it. Damage is found by `textwright verify`; a
damaged checkpoint is passed over by name, a damaged shard is refused by name.

`make test` does a part of this every time, and beside it: a disk that fills up in the middle of a save, a process that
is stopped, two processes on one run, changed text, changed configs, 10,000 old checkpoints, links out of the folder.
"""
    )


if __name__ == "__main__":
    main()
