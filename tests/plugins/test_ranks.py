"""Two processes train as one does, through the whole loop; and hooks on the weights see every gradient."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor

from tests.plugins import ranks
from textwright.core.errors import InputError
from textwright.core.journal import read_rows
from textwright.core.world import World
from textwright.runs.run_folder import Run
from textwright.training.config import TrainConfig
from textwright.training.ranks import check_world

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="torch was built without gloo")

STEPS = 6
KINDS = {
    "float32, AdamW": {"precision": "float32", "optimizer": "adamw"},
    "bfloat16, Muon": {"precision": "bfloat16", "optimizer": "muon"},
}


def config(**changes: Any) -> dict[str, Any]:
    common = {"batch_size": 4, "micro_batch_size": 2, "sequence_length": 12, "steps": STEPS, "compile": False}
    return common | {"threads": 1, "checkpoint_every": 3, "evaluate_every": 2, "keep_checkpoints": 9} | changes


TO_RESUME = config(**KINDS["float32, AdamW"], schedule="wsd", warmup_steps=0, decay_fraction=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes did all jobs in turn: what each ended with, and the runs they left."""
    folder = tmp_path_factory.mktemp("ranks")
    jobs: dict[str, dict[str, Any]] = {
        kind: {"config": config(**values), "run": str(folder / f"run of {kind}")} for kind, values in KINDS.items()
    }
    half = {"config": TO_RESUME | {"steps": 3}, "run": str(folder / "run in two parts")}
    jobs |= {"half": half, "rest": half | {"config": TO_RESUME, "resume": True}}
    jobs |= {f"hook, {precision}": {"precision": precision} for precision in ("float32", "bfloat16")}
    file = folder / "jobs.json"
    file.write_text(json.dumps(jobs))
    command, environment = (
        [sys.executable, "-m", "tests.plugins.ranks", str(file)],
        os.environ | {"OMP_NUM_THREADS": "1"},
    )
    processes = [
        subprocess.Popen([*command, str(rank)], env=environment, stderr=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    said = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)
    return folder


def results(folder: Path, name: str) -> list[dict[str, Tensor]]:
    """What the two ended a job with."""
    return [load_file(folder / f"{name}.rank-{rank}.safetensors") for rank in (0, 1)]


def check_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """To 1e-5 of the largest."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name] - value).abs().max() <= 1e-5 * value.abs().max(), name


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_train_as_one_does_and_the_first_owns_the_run(folder: Path, tmp_path: Path, kind: str) -> None:
    alone = ranks.train({"config": config(**KINDS[kind]), "run": str(tmp_path / "alone")})
    first, second = results(folder, kind)
    check_equal(first, alone)
    assert ranks.digest(first) == ranks.digest(second)
    run = Run(folder / f"run of {kind}")
    rows = [row for row in read_rows(run.journal) if row["kind"] == "train"]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert rows[-1]["tokens"] == STEPS * 4 * 12
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step-3", "step-6"]


def test_two_ranks_go_on_where_two_ranks_were(folder: Path, tmp_path: Path) -> None:
    whole = ranks.train({"config": TO_RESUME, "run": str(tmp_path / "alone")})
    first, second = results(folder, "rest")
    check_equal(first, whole)
    assert ranks.digest(first) == ranks.digest(second)
    rows = [row for row in read_rows(Run(folder / "run in two parts").journal) if row["kind"] == "train"]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_hook_of_ddp_sees_every_gradient(folder: Path, precision: str) -> None:
    for tensors in results(folder, f"hook, {precision}"):
        seen, expected = (
            {name.partition("/")[2]: value for name, value in tensors.items() if name.startswith(part)}
            for part in ("seen/", "expected/")
        )
        check_equal(seen, expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [({"minutes": 2.0}, "minutes = 2 on 3 ranks"), ({"batch_size": 2}, "batch_size = 2 on 3 ranks")],
)
def test_what_ranks_cannot_do_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_world(TrainConfig.model_validate(values), World(1, 3))
