"""How long steps of finetuning_table.py's rows take, and how many of them ninety seconds hold."""

import shutil
import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from finetuning_rows import PLAIN, RATE, SCRATCH, STAGES, FineTuningRow, end_of, pairs_of, scratch_model, shape_of
from tasks_table import textwright

from textwright.core.journal import read_rows

SECONDS = 90.0
STEPS = 10
"""Of each kind that are timed. Their lower quartile counts: whatever else a machine does only makes steps slower."""
STAGED = ("last", "last:2", "last:3", "last:4", "full")
"""Timed in one run, one after the other, so that what a change of the stage takes is seen too."""
ALONE = ("lora", "bitfit", "head", SCRATCH)

Times = Mapping[str, Mapping[str, float]]
"""By what is trained: ``step_s``, and ``change_s``, what its first step took more where others were trained before."""


def timed(data: str, base: Path, folder: Path) -> list[dict[str, Any]]:
    """Take some steps of every kind on a data set's pairs; nothing else should run meanwhile."""
    until = [f"{name}@{STEPS * (number + 1)}" for number, name in enumerate(STAGED[:-1])]
    seconds = seconds_of_steps(" -> ".join([*until, STAGED[-1]]), data, base, folder, STEPS * len(STAGED))
    found = []
    for number, name in enumerate(STAGED):
        of_stage = seconds[STEPS * number : STEPS * (number + 1)]
        step_s = usual(of_stage)
        found.append({"timed": name, "step_s": step_s, "change_s": max(0.0, of_stage[0] - step_s) if number else 0.0})
    for name in ALONE:
        seconds = seconds_of_steps(PLAIN.get(name, name), data, base, folder, STEPS)
        found.append({"timed": name, "step_s": usual(seconds), "change_s": 0.0})
    return [one | {name: round(one[name], 4) for name in ("step_s", "change_s")} for one in found]


def usual(seconds: Sequence[float]) -> float:
    """The lower quartile."""
    return statistics.quantiles(seconds, n=4)[0]


def seconds_of_steps(strategy: str, data: str, base: Path, folder: Path, steps: int) -> list[float]:
    """What each step of a short run took."""
    run = folder / "timed"
    shutil.rmtree(run, ignore_errors=True)
    pairs, held, _ = pairs_of(data, folder, base)
    common = ["--data", str(pairs), "--val-data", str(held), *shape_of(data), "--steps", str(steps)]
    for what in ("evaluate", "sample", "checkpoint"):  # nothing of them between the steps
        common += [f"--{what}-every", str(steps)]
    if strategy == SCRATCH:
        textwright("train", *common, *scratch_model(base), "--out", str(run))
    else:
        how = ["--strategy", strategy, "--learning-rate", str(RATE), "--out", str(run)]
        textwright("finetune", str(base / "model"), *common, *how)
    rows = [row for row in read_rows(run / "journal.jsonl") if row["kind"] in ("event", "train")]
    return [later["elapsed_s"] - earlier["elapsed_s"] for earlier, later in pairwise(rows) if later["kind"] == "train"]


def steps_within(row: FineTuningRow, times: Times, seconds: float = SECONDS) -> int:
    """The most steps that a row's strategy takes in so many seconds of training, changes of stage included."""
    steps = 0
    while seconds_of(row, times, steps + 1) <= seconds:
        steps += 1
    return steps


def seconds_of(row: FineTuningRow, times: Times, steps: int) -> float:
    """What so many steps take."""
    begun, total = 0, 0.0
    for name, end in stages_of(row, steps):
        total += (end - begun) * times[name]["step_s"] + (times[name]["change_s"] if begun else 0.0)
        begun = end
    return total


def stages_of(row: FineTuningRow, steps: int) -> Sequence[tuple[str, int]]:
    """What is trained until which step."""
    parts = STAGES.get(row.strategy, ((row.strategy, 1.0),))
    return [(name, end_of(part, steps)) for name, part in parts]
