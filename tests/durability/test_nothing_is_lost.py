"""However a run is interrupted, it ends with the bits of the run that was not.

The runs have dropout, Muon, gradient accumulation, bfloat16 and compilation on. ``make test-kill`` does all of this at
every point, and keeps its record in docs/reliability.md.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.laboratory import Laboratory, result
from tests.durability.oplog import Disk, spread
from textwright.core.journal import read_rows
from textwright.runs.run_folder import Run

LONGER = 60
"""Steps of the runs that something happens to after a while; all are compared with one uninterrupted run."""


def test_a_run_killed_at_any_kind_of_act_ends_with_the_same_bits(lab: Laboratory) -> None:
    acts = lab.acts()
    points = spread(acts, 16)
    assert {acts[point - 1].kind for point in points} == {act.kind for act in acts}
    assert {point: failure for point in points if (failure := lab.survives_kill(point))} == {}


def test_a_power_cut_that_loses_unsynced_bytes_loses_nothing_else(lab: Laboratory) -> None:
    acts, disk, failures = lab.acts(), Disk(), {}
    for number, act in enumerate(acts, 1):
        disk.do(act)
        if number % 60 == 0:
            for how in ("dropped", "cut"):
                if failure := lab.survives_power_cut(disk, how, number):
                    failures[number, how] = failure
    assert failures == {}


def test_kills_at_random_moments_of_one_longer_run(lab: Laboratory) -> None:
    assert lab.survives_random_kills(steps=LONGER, kills=6, seed=0) is None


def test_flipped_bits_and_cuts_are_found_and_passed_over(lab: Laboratory) -> None:
    assert {seed: failure for seed in range(24) if (failure := lab.notices_damage(seed))} == {}


def test_a_lengthened_run_goes_on_from_its_last_checkpoint(lab: Laboratory) -> None:
    folder = lab.folder / "longer" / "run"
    assert lab.run(folder, steps=4) == 0
    assert lab.run(folder, more=6) == 0
    assert [row["step"] for row in read_rows(Run(folder).journal) if row["kind"] == "train"] == [1, 2, 3, 4, 5, 6]


def test_a_process_that_is_stopped_and_goes_on_notices_nothing(lab: Laboratory) -> None:
    assert lab.survives_standstill(seconds=1.0, steps=LONGER) is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a file system of 20 MB")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_up_stops_no_training_and_harms_no_checkpoint(lab: Laboratory, small_disk: Path) -> None:
    folder, ballast = small_disk / "run", small_disk / "ballast"

    def fill_for_a_while() -> None:
        while not list(folder.glob("checkpoints/step-*")):
            time.sleep(0.005)
        fill(ballast)
        time.sleep(0.5)
        ballast.unlink()

    filler = threading.Thread(target=fill_for_a_while)
    filler.start()
    assert lab.run(folder, steps=LONGER) == 0
    filler.join()
    assert result(folder) == lab.reference(steps=LONGER)
    assert not list(folder.rglob(".*.tmp"))
    events = {row["event"] for row in read_rows(Run(folder).journal) if row["kind"] == "event"}
    assert {"save_failed", "journal"} <= events


def test_a_disk_that_stays_full_is_said_and_the_run_goes_on_when_there_is_room(
    lab: Laboratory, small_disk: Path
) -> None:
    folder, ballast = small_disk / "run", small_disk / "ballast"

    def fill_for_good() -> None:
        while not list(folder.glob("checkpoints/step-*")):
            time.sleep(0.005)
        fill(ballast)

    filler = threading.Thread(target=fill_for_good)
    filler.start()
    assert lab.run(folder, steps=LONGER) == 2
    filler.join()
    assert "No space left" in lab.log.read_text()
    assert not (folder / "model").exists()
    ballast.unlink()
    assert lab.finishes(folder, steps=LONGER) is None


def fill(path: Path) -> None:
    """Write until there is no room."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
