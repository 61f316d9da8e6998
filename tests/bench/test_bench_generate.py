"""The comparison of decoders compares what it says, and leaves out what is not there."""

import dataclasses
import json
from pathlib import Path

import pytest

from textwright.bench.generate import PRECISIONS, agreement, bench_generate, floor_tokens_per_s, multiplying_weights
from textwright.bench.gguf_file import gguf_name
from textwright.bench.peers.generate import ctranslate2_float32, ctranslate2_int8
from textwright.bench.writing_job import WritingJob
from textwright.checkpoint.model_folder import load_model
from textwright.core.errors import InputError

JOB = WritingJob("nano", prompt_tokens=5, new_tokens=6, batches=(1, 2), threads=1)


def test_each_peer_takes_its_turns_and_ours_is_put_over_theirs() -> None:
    found = bench_generate(JOB, turns=2, peers=("ours_float32", "ours_int8", "hugging_face"))
    assert [row["peer"] for row in found["rows"]] == ["ours_float32", "ours_int8", "hugging_face"]
    ours, _, theirs = found["rows"]
    assert len(ours["seconds_of_a_batch"]["2"]) == len(theirs["seconds_of_a_first_token"]) == 2
    assert ours["agrees"] == theirs["agrees"] == {"1": 1.0, "2": 1.0}
    ratios = found["ratios"]
    assert ratios["ours_float32 / hugging_face"] == ours["tokens_per_s"]["1"] / theirs["tokens_per_s"]["1"]
    assert ratios["ours_float32 x2 / floor x2"] == ours["tokens_per_s"]["2"] / found["floors"]["float32"]["2"]
    assert ratios["first token: ours_float32 / hugging_face"] == theirs["first_token_s"] / ours["first_token_s"]
    assert "ours_int8 / hugging_face" in ratios
    assert json.loads(json.dumps(found)) == found


def test_a_peer_that_is_not_installed_is_left_out_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2_int8, "PACKAGES", ("no_such_package",))
    said: list[str] = []
    found = bench_generate(JOB, turns=1, peers=("ours_int8", "ctranslate2_int8"), say=said.append)
    assert [line for line in said if "no_such_package" in line] == [
        "ctranslate2_int8 is left out: no_such_package not installed; pip install 'textwright[bench]'"
    ]
    assert found["rows"][1]["state"] == "not installed"
    assert found["rows"][0]["agrees"] is None
    assert found["ratios"].keys() == {"ours_int8 / floor", "ours_int8 x2 / floor x2"}


def test_with_nobody_to_measure_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctranslate2_float32, "PACKAGES", ("no_such_package",))
    with pytest.raises(InputError, match="no peer is installed"):
        bench_generate(JOB, turns=1, peers=("ctranslate2_float32",))


def test_a_mistyped_peer_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'ours_int8'"):
        bench_generate(JOB, turns=1, peers=("our_int8",))


def test_a_model_that_not_every_peer_knows_is_refused() -> None:
    with pytest.raises(InputError, match="qwen3-nano"):
        bench_generate(dataclasses.replace(JOB, preset="qwen3-nano"), turns=1, peers=("ours_int8",))


def test_the_floor_reads_the_weights_once_a_step_and_every_row_its_cache() -> None:
    job = WritingJob("gpt2", prompt_tokens=64, new_tokens=128, batches=(1,), threads=2)
    weights = 12 * 12 * 768 * 768 + 50257 * 768
    assert multiplying_weights(job.config) == weights
    cache = 2 * 12 * 768 * 128 * 2
    assert floor_tokens_per_s(job, PRECISIONS["int8"], 1, 1e9) == 1e9 / (weights + cache)
    assert floor_tokens_per_s(job, PRECISIONS["bfloat16"], 16, 1e9) == 16e9 / (1.5 * weights + 16 * cache)


def test_the_weights_are_a_model_folder_with_biases(tmp_path: Path) -> None:
    job = WritingJob("nano", 5, 6, (1,), 1, str(tmp_path))
    job.write_weights()
    assert all(tensor.abs().max() > 0 for tensor in load_model(tmp_path).parameters())


def test_agreement_counts_tokens() -> None:
    assert agreement([[1, 2], [3, 4]], [[1, 2], [3, 5]]) == 0.75


def test_tensors_have_the_names_that_llama_cpp_knows() -> None:
    assert gguf_name("transformer.wte.weight") == "token_embd.weight"
    assert gguf_name("transformer.h.11.attn.c_proj.bias") == "blk.11.attn_output.bias"
