"""``cache_frozen`` in a fine-tuning: the same model, whether it is kept, replayed, interrupted or not."""

from pathlib import Path
from typing import Any

import pytest

import textwright as tw
from tests.api.test_runs_stay_resumable import interrupt_at, same, small
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.tokens import make_tokenizer
from textwright.training.frozen_states import FrozenStates

NEW = ["The new text is about a bird.", "It sang in the tree all day.", "Then it flew away."] * 2
HOW: dict[str, Any] = {"steps": 8, "batch_size": 4, "sequence_length": 16, "precision": "float32", "compile": False}


def new_model() -> tw.Model:
    tokenizer = make_tokenizer("byte", lambda: iter(NEW), seed=0)
    return tw.Model(build(small("nano", vocab_size=tokenizer.vocab_size, context_length=32)), tokenizer)


def test_the_model_is_that_without_it_and_a_run_that_was_interrupted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.txt"
    old.write_text("The cat sat on the mat. The dog sat on the log.\n" * 3)
    how = HOW | {"strategy": "last", "replay": [f"{old}:0.25"], "quiet": True}
    new_model().fit(NEW, out=tmp_path / "without", **how)
    begun: list[bool] = []
    plain = FrozenStates.added_to

    def noted(states: FrozenStates, batch: Batch) -> Batch:
        found = plain(states, batch)
        begun.append(found.hidden is not None and found.first_block == 1)
        return found

    monkeypatch.setattr(FrozenStates, "added_to", noted)
    new_model().fit(NEW, out=tmp_path / "whole", cache_frozen=True, **how)
    assert sum(begun) == HOW["steps"]
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt_at(patched, 5)
        new_model().fit(NEW, out=tmp_path / "run", cache_frozen=True, **how)
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.startswith(".frozen")]
    begun.clear()
    tw.resume(tmp_path / "run", quiet=True)
    assert sum(begun) == HOW["steps"] - 5
    assert same(tmp_path / "run", tmp_path / "whole")
    assert same(tmp_path / "run", tmp_path / "without")
    assert all(check.damage is None for check in tw.verify(tmp_path / "run"))


def test_what_cannot_be_kept_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    run = tmp_path / "run"
    refused: list[tuple[dict[str, Any], str]] = [
        ({"strategy": "last"}, "without a run"),
        ({"out": run}, "'full'.*never trains the lowest block"),
        ({"out": run, "strategy": "gradual"}, "'gradual:every=epoch'"),
        ({"out": run, "strategy": "lora:targets=out"}, "'lora"),
        ({"out": run, "strategy": "last:2"}, "'last:2'"),
        ({"out": run, "strategy": "last", "packing": "none"}, "use --packing documents"),
        (
            {"out": run, "parameter_plan": [{"rules": [{"pattern": "*.blocks.0.*"}]}]},
            "where the lowest block is trained",
        ),
    ]
    for arguments, message in refused:
        with pytest.raises(InputError, match=message):
            new_model().fit(NEW, cache_frozen=True, quiet=True, **HOW | arguments)
        assert not run.exists()
