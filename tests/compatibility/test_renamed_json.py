"""The rename changed names and nothing else: what 0.1.0 printed with ``--json`` is printed still, up to the tables.

Each file of ``tests/fixtures/v0.1/json`` is a command as 0.1.0 took it and what it printed. Its options are put into
today's names by the table that also answers old names, and its keys by the table below.
"""

import io
import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textwright.core.renamed import PRESETS, VALUES, new_option

FIXTURES = Path(__file__).parents[1] / "fixtures" / "v0.1"
COMMANDS = sorted(FIXTURES.glob("json/*.json"))
KEYS = {
    "log_p": "logprob",
    "window_slid": "context_shifted",
    "acceptance": "acceptance_rate",
    "alternatives": "top_logprobs",
    "micro_batch": "micro_batch_size",
    "yardsticks": "baselines",
    "width": "hidden_size",
}
BENCH_JOB_KEYS = {"rows": "batch_size", "time": "sequence_length"}
FINISH_REASONS = {"end": ("stop", "eos"), "constraint": ("stop", "constraint"), "length": ("length", None)}
MEASURED = {"tokens_per_s", "seconds", "memory_bytes", "peak_memory_bytes", "disk_bytes"}
"""Figures that differ from run to run and from machine to machine."""
ADDED = {"metrics", "trained_parameters", "stages", "steps_per_epoch", "5-gram of the same tokens"}
"""What has come since, where it was not there."""
CHECKED_SINCE = ("journal.jsonl", "samples.jsonl")
"""Files of a run that ``verify`` looks at since."""
TIMED = {"demo", "bench-train"}
"""Commands that go by a clock: only their keys are compared."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the fixtures, which commands may lock and write beside."""
    return Path(shutil.copytree(FIXTURES, tmp_path_factory.mktemp("old") / "v0.1"))


@pytest.mark.parametrize("recorded", COMMANDS, ids=lambda path: path.stem)
def test_json_is_as_it_was_up_to_its_keys(
    recorded: Path, root: Path, tmp_path: Path, textwright: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.loads(recorded.read_text(encoding="utf-8"))
    words = [word.replace("{fixtures}", str(root)).replace("{work}", str(tmp_path)) for word in before["arguments"]]
    monkeypatch.setattr(sys, "stdin", io.StringIO(before["stdin"]))
    done = textwright(*todays(words), "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out.replace(str(root), "{fixtures}").replace(str(tmp_path), "{work}"))
    stop = words[words.index("--stop") + 1] if "--stop" in words else None
    assert_same(renamed(before["output"], stop), found, only_keys=recorded.stem in TIMED)


def todays(words: list[str]) -> list[str]:
    """A command line of 0.1.0 in today's names."""
    values = {old: new for table in VALUES.values() for old, new in table.items()} | PRESETS
    return [(new_option(word) or values.get(word, word)).partition(" (")[0] for word in words]


def renamed(value: Any, stop: str | None) -> Any:
    """What 0.1.0 printed, in today's names."""
    if isinstance(value, list):
        return [renamed(item, stop) for item in value]
    if not isinstance(value, dict):
        return value
    names = KEYS | (BENCH_JOB_KEYS if "preset" in value else {})
    row = {names.get(name, name): renamed(item, stop) for name, item in value.items()}
    if "finish_reason" in row:
        row["finish_reason"], row["stop_reason"] = (FINISH_REASONS | {"stop": ("stop", stop)})[row["finish_reason"]]
    return row


def assert_same(expected: Any, found: Any, *, only_keys: bool, place: str = "") -> None:
    """Equal, floats to 1e-4; of what is measured only that it is there and of its kind."""
    if isinstance(expected, dict):
        assert set(found) - (ADDED - set(expected)) == set(expected), place
        for name, value in expected.items():
            is_measured = only_keys or name in MEASURED
            assert_same(value, found[name], only_keys=is_measured, place=f"{place}.{name}")
    elif isinstance(expected, list) and not only_keys:
        found = [one for one in found if not (isinstance(one, dict) and one.get("path", "").endswith(CHECKED_SINCE))]
        assert len(found) == len(expected), place
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            assert_same(one, other, only_keys=False, place=f"{place}[{index}]")
    elif only_keys:
        assert isinstance(found, type(expected)), place
        if isinstance(expected, list) and expected:
            assert_same(expected[0], found[0], only_keys=True, place=f"{place}[0]")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-4, abs_tol=1e-4), (place, expected, found)
    else:
        assert found == expected, place
