"""The benchmarks of decoding measure what they say, at the smallest size."""

from pathlib import Path

import pytest
import torch

from benchmarks import decode_parity, gpu_generate, speculation
from tests.generation.conftest import make_model
from textwright.api.model import Model
from textwright.bench.writing_job import WritingJob
from textwright.models.gpt.network import GPT
from textwright.tokens import Tokenizer, make_tokenizer


@pytest.fixture
def gpt2() -> GPT:
    model = make_model("gpt2")
    assert isinstance(model, GPT)
    return model


@pytest.fixture
def tokenizer() -> Tokenizer:
    return make_tokenizer("byte", lambda: iter(()))


def test_the_kernels_texts_are_torchs(gpt2: GPT) -> None:
    prompts = torch.randint(257, (3, 8), generator=torch.Generator().manual_seed(0))
    found = decode_parity.compare(gpt2, prompts, 20)
    assert found["places"] == 60
    assert found["other_token_elsewhere"] == 0
    assert found["same_texts"] == 3
    assert found["largest_difference_of_logits"] < 1e-4 < 1 < found["spread_of_logits"]


def test_samples_with_and_without_a_draft_are_compared(gpt2: GPT, tokenizer: Tokenizer) -> None:
    model, draft = Model(gpt2, tokenizer), Model(make_model("gpt2"), tokenizer)
    found = speculation.compare_samples(model, draft, "abcabcab", 300)
    assert found["p"] > 1e-4
    assert found["degrees"] >= 5
    assert speculation.p_value([dict.fromkeys("ab", 100), {"a": 160, "b": 40}])["p"] < 1e-4


def test_both_sides_write_on_any_device(tmp_path: Path) -> None:
    job = WritingJob("nano", 4, 3, (1, 2), 1, str(tmp_path))
    job.write_weights()
    writers = {
        "ours": gpu_generate.ours(job, "cpu"),
        "hugging_face": gpu_generate.hugging_face(job, "cpu"),
    }
    found = gpu_generate.measure(job, writers, 1)
    assert set(found["ratios"]) == {"ours / hugging_face x1", "ours / hugging_face x2"}
