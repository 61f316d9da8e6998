"""Folders that textwright 0.1.0 wrote are read as they were meant, or refused by the name of that version."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from textwright.api import load
from textwright.engines.config import EngineConfig
from textwright.tokens import load_tokenizer

FOLDER = Path(__file__).parents[1] / "fixtures" / "v0.1"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-4
"""Of logits whose spread is about 1: written on one processor, read on another."""


@pytest.mark.parametrize("name", EXPECTED["ids"])
def test_a_tokenizer_gives_the_same_ids(name: str) -> None:
    tokenizer = load_tokenizer(FOLDER / "tokenizers" / name)
    assert tokenizer.encode(EXPECTED["text"]) == EXPECTED["ids"][name]
    assert tokenizer.decode(EXPECTED["ids"][name]) == EXPECTED["text"]


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_a_model_gives_the_same_logits_and_text(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER / "models" / name, tmp_path / name)
    model = load(folder)
    logits = model.logits([EXPECTED["ids"]["bpe"]])[0, -1]
    expected = EXPECTED["models"][name]
    torch.testing.assert_close(logits, torch.tensor(expected["last_logits"]), atol=TOLERANCE, rtol=0)
    greedy = model.complete(["The cat"], engine=EngineConfig(engine="torch"), temperature=0, max_new_tokens=12)
    assert greedy[0].text == expected["greedy"]


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_its_int8_cache_is_no_trap(name: str, tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER / "models" / name, tmp_path / name)
    ids = EXPECTED["ids"]["bpe"]
    with_cache = load(folder).decoder(EngineConfig(precision="int8"))
    shutil.rmtree(folder / "cache")
    without = load(folder).decoder(EngineConfig(precision="int8"))
    found = [
        decoder.logits(decoder.extend(torch.tensor([ids]), [len(ids)], decoder.empty_cache(1), [0])[:, -1])
        for decoder in (with_cache, without)
    ]
    torch.testing.assert_close(found[0], found[1], atol=0, rtol=0)


@pytest.mark.parametrize("name", EXPECTED["runs"])
def test_a_run_is_verified_watched_and_listed(name: str, tmp_path: Path, textwright: Callable[..., Any]) -> None:
    folder = shutil.copytree(FOLDER / "runs" / name, tmp_path / name)
    assert textwright("verify", folder, "--json").json["ok"]
    watched = textwright("runs", "watch", folder)
    assert watched.code == 0
    assert "step 3" in watched.err
    listed = textwright("runs", "list", tmp_path, "--json").json["runs"]
    assert [row["step"] for row in listed] == [EXPECTED["runs"][name]["steps"]]


def test_a_finished_runs_model_generates(tmp_path: Path, textwright: Callable[..., Any]) -> None:
    folder = shutil.copytree(FOLDER / "runs" / "finished", tmp_path / "finished")
    options = ("--temperature", 0, "--max-new-tokens", 12, "--engine", "torch", "--json")
    done = textwright("generate", folder / "model", "The cat", *options)
    assert done.json["completions"][0]["text"] == EXPECTED["runs"]["finished"]["greedy"]


@pytest.mark.parametrize("name", EXPECTED["runs"])
def test_a_run_is_not_gone_on_with_and_nothing_of_it_changes(
    name: str, tmp_path: Path, textwright: Callable[..., Any]
) -> None:
    folder = shutil.copytree(FOLDER / "runs" / name, tmp_path / name)
    done = textwright("train", "--resume", folder, "--steps", 9)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "textwright 0.1.0" in done.err
    for path in (FOLDER / "runs" / name).rglob("*"):
        if path.is_file():
            assert (folder / path.relative_to(FOLDER / "runs" / name)).read_bytes() == path.read_bytes()
    assert sum(1 for _ in folder.rglob("*")) == sum(1 for _ in (FOLDER / "runs" / name).rglob("*"))
