"""Contrastive search chooses what its formula says, computed anew at each step."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity

from tests.generation.conftest import CONTEXT, make_model
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.generation.generate import generate
from textwright.generation.request import SamplingConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer

PROMPTS = ["a", "The quick brown", "床前", "one two"]


def searched(alpha: float = 0.6, **sampling: object) -> SamplingConfig:
    return SamplingConfig.model_validate({"max_new_tokens": 8, "penalty_alpha": alpha} | sampling)


@torch.no_grad()
def slow_search(model: LanguageModel, tokenizer: Tokenizer, prompt: str, alpha: float, k: int, count: int) -> list[int]:
    """The reference: the whole text is read anew for each candidate, nothing is kept."""

    def hidden_states(ids: list[int]) -> torch.Tensor:
        batch = Batch.for_inputs(torch.tensor([ids]))
        return model.hidden_states(model.embed(batch), batch)[0]

    ids = tokenizer.encode(prompt) or [tokenizer.end_id]
    chosen: list[int] = []
    while len(chosen) < count and tokenizer.end_id not in chosen:
        p = model.logits(hidden_states(ids)[-1]).softmax(-1)
        scores = {}
        for candidate in p.topk(k).indices.tolist():
            *before, new = hidden_states([*ids, candidate])
            likeness = max(float(cosine_similarity(new, old, dim=0)) for old in before)
            scores[candidate] = (1 - alpha) * float(p[candidate]) - alpha * likeness
        chosen.append(max(scores, key=scores.__getitem__))
        ids.append(chosen[-1])
    return chosen


@pytest.mark.parametrize(("alpha", "k"), [(0.0, 3), (0.3, None), (0.6, 2), (1.0, 7)])
def test_it_chooses_what_the_formula_says(
    alpha: float, k: int | None, model: LanguageModel, tokenizer: Tokenizer
) -> None:
    found = generate(model, tokenizer, PROMPTS, searched(alpha, top_k=k))
    for prompt, completion in zip(PROMPTS, found, strict=True):
        assert list(completion.token_ids) == slow_search(model, tokenizer, prompt, alpha, k or 4, 8)


def test_without_a_penalty_it_is_greedy_and_with_one_it_is_not(model: LanguageModel, tokenizer: Tokenizer) -> None:
    greedy = generate(model, tokenizer, PROMPTS, SamplingConfig(max_new_tokens=8, temperature=0))
    assert generate(model, tokenizer, PROMPTS, searched(0.0)) == greedy
    assert generate(model, tokenizer, PROMPTS, searched(0.9)) != greedy


def test_prompts_do_not_depend_on_each_other_however_many(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    alone = [generate(gpt2, tokenizer, [prompt], searched())[0] for prompt in [*PROMPTS, ""]]
    assert generate(gpt2, tokenizer, [*PROMPTS, ""] * 4, searched()) == alone * 4


def test_filters_have_the_last_word(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    """All but 'b' and the end token is banned, and 'b' may come once: there are fewer tokens than candidates."""
    gpt2.head_weight.data[128:256] = 0
    banned = tuple(chr(code) for code in range(128) if chr(code) != "b")
    bias = {**dict.fromkeys(range(128, 256), -100.0), ord("b"): 50.0}
    found = generate(
        gpt2, tokenizer, ["a"], searched(1.0, top_k=2, bad_words=banned, logit_bias=bias, no_repeat_ngram_size=1)
    )
    assert set(found[0].token_ids) <= {ord("b"), 256, *range(128, 256)}
    free = generate(gpt2, tokenizer, ["a"], searched())[0].text
    assert free[1:3] not in generate(gpt2, tokenizer, ["a"], searched(bad_words=(free[1:3],)))[0].text


def test_reports_and_log_probabilities_are_as_the_model_saw_them(model: LanguageModel, tokenizer: Tokenizer) -> None:
    for completion in generate(model, tokenizer, PROMPTS, searched(top_logprobs=3, temperature=0.1)):
        assert tuple(report.token_id for report in completion.reports) == completion.token_ids
        assert sum(math.log(report.p) for report in completion.reports) == pytest.approx(completion.logprob, abs=1e-3)
        assert max(report.rank for report in completion.reports) <= 4


def test_tokens_beyond_the_tokenizer_are_never_chosen(tokenizer: Tokenizer) -> None:
    model = make_model("gpt2", vocab_size=300)
    for completion in generate(model, tokenizer, PROMPTS, searched(top_k=300)):
        assert max(completion.token_ids) < 257


def test_text_that_outgrows_the_context_is_refused(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    (completion,) = generate(gpt2, tokenizer, ["abcd"], searched(max_new_tokens=CONTEXT - 4))
    assert not completion.context_shifted
    with pytest.raises(InputError, match="in a context of 32, .* at most 28, .* leave out penalty_alpha"):
        generate(gpt2, tokenizer, ["abcd"], searched(max_new_tokens=CONTEXT - 3))


def test_a_model_with_damaged_weights_is_named(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    gpt2.head_weight.data[0, 0] = math.nan
    with pytest.raises(InputError, match="logits are not finite"):
        generate(gpt2, tokenizer, ["a"], searched())
