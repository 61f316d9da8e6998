"""A step that is recorded and replayed says what the model says; on a GPU as a CUDA graph, here by a stand-in."""

import pytest
import torch

from tests.generation.conftest import make_model
from textwright.generation.engine import generate
from textwright.generation.graph_decoder import MOST_RECORDINGS, GraphDecoder, Step, record_cuda_graph
from textwright.generation.request import SamplingConfig
from textwright.generation.speculative import PromptLookup, Speculation
from textwright.models.gpt.network import GPT
from textwright.tokens import Tokenizer

PROMPTS = ["a", "The quick brown", "", "x" * 20, "one two three four five six seven"]


class Recorder:
    """A stand-in for CUDA graphs: it replays with inputs that stay where they were, and counts."""

    def __init__(self) -> None:
        self.recorded, self.replayed = 0, 0

    def __call__(self, step: Step, rows: int, device: torch.device) -> Step:
        self.recorded += 1
        ids = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        lengths = torch.zeros(rows, dtype=torch.int64, device=device)

        def replay(new_ids: torch.Tensor, new_lengths: torch.Tensor) -> torch.Tensor:
            self.replayed += 1
            ids.copy_(new_ids)
            lengths.copy_(new_lengths)
            return step(ids, lengths).clone()

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
        found = generate(GraphDecoder(model, recorder), tokenizer, PROMPTS, sampling)
        expected = generate(model, tokenizer, PROMPTS, sampling)
        assert [one.token_ids for one in found] == [one.token_ids for one in expected]
    assert recorder.replayed > 2 * recorder.recorded > 0


def test_a_step_is_the_models_step_to_the_last_digits(gpt2: GPT) -> None:
    decoder, ids = GraphDecoder(gpt2, Recorder()), torch.randint(0, 257, (3, 20))
    lengths, one = torch.tensor([10, 4, 7]), torch.ones(3, dtype=torch.int64)
    states = [found.extend(ids[:, :10], lengths, found.empty_cache(3))[1] for found in (decoder, gpt2)]
    for step in range(8):
        new = ids[:, 10 + step : 11 + step]
        (ours, states[0]), (theirs, states[1]) = decoder.extend(new, one, states[0]), gpt2.extend(new, one, states[1])
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert torch.equal(states[0].lengths, lengths + 8)


def test_speculation_reads_several_tokens_and_takes_some_back(gpt2: GPT, tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(max_new_tokens=30, temperature=0)
    found = generate(
        GraphDecoder(gpt2, Recorder()), tokenizer, ["abcabcab"], sampling, speculation=Speculation(PromptLookup())
    )
    assert found[0].token_ids == generate(gpt2, tokenizer, ["abcabcab"], sampling)[0].token_ids


def test_few_recordings_are_kept(gpt2: GPT) -> None:
    decoder, one, kept = GraphDecoder(gpt2, Recorder()), torch.ones(1, dtype=torch.int64), []
    for _ in range(2 * MOST_RECORDINGS):
        state = decoder.empty_cache(1)
        for _ in range(2):
            _, state = decoder.extend(torch.zeros(1, 1, dtype=torch.int64), one, state)
        kept.append(state)
    assert len(decoder._steps) == MOST_RECORDINGS


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_cuda_graph_says_what_the_model_says(gpt2: GPT, tokenizer: Tokenizer) -> None:
    model = gpt2.to("cuda")
    sampling = SamplingConfig(max_new_tokens=40, temperature=0)
    found = generate(GraphDecoder(model, record_cuda_graph), tokenizer, PROMPTS, sampling)
    expected = generate(model, tokenizer, PROMPTS, sampling)
    assert [one.token_ids for one in found] == [one.token_ids for one in expected]
