"""An option as it was called in version 0.1 is answered with what it is called now."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from textwright.core.renamed import new_option


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("train", "--data", "x", "--rows", 4), "--rows is now --batch-size"),
        (("train", "--data", "x", "--time=4"), "--time is now --sequence-length"),
        (("plan", "--data", "x", "--recompute"), "--recompute is now --activation-checkpointing"),
        (("plan", "--no-recompute"), "--no-recompute is now --no-activation-checkpointing"),
        (
            ("train", "--layout", "packed"),
            "--layout is now --packing (windows is now none, packed is now documents)",
        ),
        (("train", "--model.positions", "learned"), "--model.positions is now --model.position-encoding"),
        (("bench", "train", "--rows", 2), "--rows is now --batch-size"),
        (("generate", "m", "p", "--num-samples", 2), "--num-samples is now --n"),
        (("generate", "m", "p", "--alternatives", 2), "--alternatives is now --top-logprobs"),
        (("generate", "m", "p", "--num-drafted", 2), "--num-drafted is now --num-speculative-tokens"),
        (("chat", "m", "--deterministic"), "--deterministic is now --batch-invariant"),
        (("train", "--data", "x", "--model.preset", "modern-tiny"), "preset 'modern-tiny' is now 'qwen3-tiny'"),
    ],
)
def test_an_old_option(textwright: Run, tmp_path: Path, arguments: tuple[object, ...], answer: str) -> None:
    done = textwright(*arguments, *(("--out", tmp_path / "run") if "modern-tiny" in arguments else ()))
    assert (done.code, done.out, done.err) == (2, "", f"textwright: {answer}\n")


def test_a_command_without_the_new_option_has_never_heard_of_the_old_one(textwright: Run) -> None:
    done = textwright("embed", "m", "a text", "--rows", 2)
    assert done.code == 2
    assert "batch-size" not in done.err
    assert new_option("--batch-size") is new_option("rows") is None
