"""The comparison compares what it says, and says what went wrong."""

import json
from typing import Any

import pytest

from benchmarks import gpu_train
from textwright.bench.job import VOCABULARY, Job
from textwright.bench.train import bench_train, step_flops
from textwright.core.errors import InputError
from textwright.models.presets import preset


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """A small model measured by the GPU's benchmark, on the CPU: the comparison itself, and what it makes of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_train, "PEERS", ("textwright_eager", "hugging_face"))
        return gpu_train.measure(Job("nano", 1, 16, "float32", "cpu"), turns=2, steps=1)


def test_a_size_is_measured_beside_its_peer(measured: dict[str, Any]) -> None:
    assert measured["preset"] == "nano"
    assert measured["figures"].keys() == {"tokens/s", "over Hugging Face", "of the matrix rate"}
    assert all(value > 0 for value in measured["figures"].values())


def test_each_peer_takes_its_turns_and_ours_is_put_over_theirs(measured: dict[str, Any]) -> None:
    found = {name: value for name, value in measured.items() if name not in ("preset", "figures")}
    assert [row["peer"] for row in found["rows"]] == ["textwright_eager", "hugging_face"]
    ours, theirs = found["rows"]
    assert len(ours["seconds_of_a_step"]) == len(theirs["seconds_of_a_step"]) == 2
    assert found["ratios"].keys() == {"textwright_eager / hugging_face", "textwright_eager / matrix rate"}
    assert found["ratios"]["textwright_eager / hugging_face"] == ours["tokens_per_s"] / theirs["tokens_per_s"]
    assert 0 < ours["share_of_matrix_rate"] < 1
    assert ours["peak_memory_bytes"] > 1e8
    assert json.loads(json.dumps(found)) == found


def test_the_floor_of_gpt2_is_six_times_its_multiplying_weights() -> None:
    config = preset("gpt2", vocab_size=VOCABULARY)
    flops = step_flops(config, Job("gpt2", 2, 512, "float32"))
    matrices = 12 * 12 * 768 * 768 + VOCABULARY * 768
    assert flops == 1024 * (6 * matrices + 6 * 12 * 768 * 512)


def test_a_peer_that_cannot_run_is_told_in_one_line() -> None:
    job = Job("nosuch", 1, 16, "float32")
    with pytest.raises(InputError, match="textwright_eager could not be run"):
        bench_train(job, turns=1, steps=1, threads=1, peers=("textwright_eager",))


def test_a_mistyped_peer_is_refused() -> None:
    with pytest.raises(InputError, match="textwrong_step"):
        bench_train(Job("nano", 1, 16, "float32"), turns=1, steps=1, threads=1, peers=("textwrong_step",))
