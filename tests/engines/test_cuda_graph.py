"""A step that is captured and replayed says what the model says; on a GPU as a CUDA graph, here by a stand-in."""

import pytest
import torch

from tests.generation.conftest import make_model
from textwright.engines.cuda_graph import MAX_CAPTURES, CudaGraphDecoder, Step, capture_cuda_graph
from textwright.generation.generate import generate
from textwright.generation.request import Request, SamplingConfig
from textwright.generation.scheduler import Scheduler
from textwright.generation.speculative import PromptLookup, Speculation
from textwright.models.gpt.network import GPT
from textwright.tokens import Tokenizer

PROMPTS = ["a", "The quick brown", "", "x" * 20, "one two three four five six seven"]


class Recorder:
    """A stand-in for CUDA graphs: it replays with inputs that stay where they were, and counts."""

    def __init__(self) -> None:
        self.captured, self.replayed = 0, 0

    def __call__(self, step: Step, rows: int, device: torch.device) -> Step:
        self.captured += 1
        held = [torch.zeros(shape, dtype=torch.int64, device=device) for shape in ((rows, 1), (rows,), (rows,))]

        def replay(*new: torch.Tensor) -> torch.Tensor:
            self.replayed += 1
            for mine, given in zip(held, new, strict=True):
                mine.copy_(given)
            return step(*held).clone()

        return replay


def gpt(family: str) -> GPT:
    model = make_model(family)
    assert isinstance(model, GPT)
    return model


@pytest.mark.parametrize("family", ["gpt1", "gpt2", "qwen3"])
def test_texts_are_the_models_own(family: str, tokenizer: Tokenizer) -> None:
    """Ragged rows that end at different times and outgrow the context: caches grow, shrink and are joined."""
    model, recorder = gpt(family), Recorder()
    for sampling in (SamplingConfig(max_new_tokens=40, temperature=0), SamplingConfig(max_new_tokens=40, seed=5)):
        found = generate(CudaGraphDecoder(model, recorder), tokenizer, PROMPTS, sampling)
        expected = generate(model, tokenizer, PROMPTS, sampling)
        assert [one.token_ids for one in found] == [one.token_ids for one in expected]
    assert recorder.replayed > 2 * recorder.captured > 0


def test_a_step_is_the_models_step_to_the_last_digits(gpt2: GPT) -> None:
    """Of some slots, in any order; what others hold stays as it was."""
    decoder, ids, slots = CudaGraphDecoder(gpt2, Recorder()), torch.randint(0, 257, (3, 20)), [4, 0, 3]
    both = decoder, gpt2
    caches = [one.empty_cache(6) for one in both]
    for one, cache in zip(both, caches, strict=True):
        one.extend(ids[:, :10], [10, 4, 7], cache, slots)
        one.extend(ids[:1], [20], cache, [1])
    for step in range(8):
        new = ids[:, 10 + step : 11 + step]
        ours, theirs = (one.extend(new, [1, 1, 1], its, slots) for one, its in zip(both, caches, strict=True))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    idle = [one.extend(ids[:1, :1], [1], its, [1]) for one, its in zip(both, caches, strict=True)]
    torch.testing.assert_close(*idle, atol=1e-5, rtol=0)
    assert [caches[0].length(slot) for slot in slots] == [18, 12, 15]


def test_speculation_reads_several_tokens_and_takes_some_back(gpt2: GPT, tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(max_new_tokens=30, temperature=0)
    found = generate(
        CudaGraphDecoder(gpt2, Recorder()), tokenizer, ["abcabcab"], sampling, speculation=Speculation(PromptLookup())
    )
    assert found[0].token_ids == generate(gpt2, tokenizer, ["abcabcab"], sampling)[0].token_ids


def test_few_captures_are_kept(gpt2: GPT) -> None:
    decoder, kept = CudaGraphDecoder(gpt2, Recorder()), []
    for _ in range(2 * MAX_CAPTURES):
        cache = decoder.empty_cache(1)
        for _ in range(2):
            decoder.extend(torch.zeros(1, 1, dtype=torch.int64), [1], cache, [0])
        kept.append(cache)
    assert len(decoder._steps) == MAX_CAPTURES


def test_who_joins_and_leaves_costs_no_new_capture(gpt2: GPT, tokenizer: Tokenizer) -> None:
    recorder = Recorder()
    scheduler = Scheduler(CudaGraphDecoder(gpt2, recorder), tokenizer, num_slots=4)
    for count in range(1, 20):
        scheduler.add(Request("abc", SamplingConfig(max_new_tokens=count, temperature=1, seed=count)))
    while scheduler.has_work:
        scheduler.step()
    assert recorder.captured <= 3  # rows of one, two and four slots


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_cuda_graph_says_what_the_model_says(gpt2: GPT, tokenizer: Tokenizer) -> None:
    model = gpt2.to("cuda")
    sampling = SamplingConfig(max_new_tokens=40, temperature=0)
    found = generate(CudaGraphDecoder(model, capture_cuda_graph), tokenizer, PROMPTS, sampling)
    expected = generate(model, tokenizer, PROMPTS, sampling)
    assert [one.token_ids for one in found] == [one.token_ids for one in expected]
