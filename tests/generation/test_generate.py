"""A completion depends on its prompt and its seed alone, and ends where it should."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.conftest import CONTEXT, make_model
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.generation.generate import generate
from textwright.generation.request import Completion, Request, SamplingConfig
from textwright.generation.scheduler import Scheduler
from textwright.generation.sequence import window_start
from textwright.generation.stopping import StopStrings
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

PROMPTS = ["a", "The quick brown", "", "x" * 20, "床前", "one two three four five six seven eight nine ten"]
GREEDY = SamplingConfig(max_new_tokens=20, temperature=0)
RANDOM = SamplingConfig(max_new_tokens=20, temperature=1, seed=5)


def slow_greedy(model: LanguageModel, tokenizer: Tokenizer, prompt: str, count: int) -> list[int]:
    """The reference: the whole window is read anew for each token, nothing is kept."""
    ids = tokenizer.encode(prompt) or [tokenizer.end_id]
    chosen: list[int] = []
    while len(chosen) < count:
        window = torch.tensor([ids[window_start(len(ids), model.context_length) :]])
        batch = Batch.for_inputs(window)
        with torch.no_grad():
            hidden = model.hidden_states(model.embed(batch), batch)
            chosen.append(int(model.logits(hidden[:, -1]).argmax()))
        ids.append(chosen[-1])
        if chosen[-1] == tokenizer.end_id:
            break
    return chosen


def test_ragged_prompts_give_what_the_slow_way_gives_one_by_one(model: LanguageModel, tokenizer: Tokenizer) -> None:
    for prompt, completion in zip(PROMPTS, generate(model, tokenizer, PROMPTS, GREEDY), strict=True):
        assert list(completion.token_ids) == slow_greedy(model, tokenizer, prompt, 20)


def test_text_past_the_context_slides_the_window_and_says_so(model: LanguageModel, tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(max_new_tokens=3 * CONTEXT, temperature=0)
    found = generate(model, tokenizer, ["short", "y" * (2 * CONTEXT)], sampling)
    for completion in found:
        assert list(completion.token_ids) == slow_greedy(model, tokenizer, completion.prompt, 3 * CONTEXT)
        assert completion.context_shifted == (len(completion.prompt) + completion.num_tokens - 1 > CONTEXT)
    assert found[1].context_shifted


def test_a_seed_fixes_the_text_whatever_else_is_in_the_batch(model: LanguageModel, tokenizer: Tokenizer) -> None:
    together = generate(model, tokenizer, PROMPTS, RANDOM)
    alone = [generate(model, tokenizer, [prompt], RANDOM)[0] for prompt in PROMPTS]
    backwards = generate(model, tokenizer, PROMPTS[::-1], RANDOM)[::-1]
    assert together == alone == backwards
    assert together != generate(model, tokenizer, PROMPTS, RANDOM.model_copy(update={"seed": 6}))


def test_few_slots_and_short_parts_of_prompts_at_a_time_change_nothing(
    model: LanguageModel, tokenizer: Tokenizer
) -> None:
    expected = generate(model, tokenizer, PROMPTS, RANDOM)
    for limits in ({"num_slots": 1}, {"num_slots": 2}, {"num_slots": 6, "max_prefill_tokens": 1}):
        scheduler = Scheduler(model, tokenizer, **limits)
        for prompt in PROMPTS:
            scheduler.add(Request(prompt, RANDOM))
        found = dict[int, Completion]()
        while scheduler.has_work:
            found |= {event.request_id: event.completion for event in scheduler.step() if event.completion}
        assert [found[number] for number in range(len(PROMPTS))] == expected


def test_samples_of_a_prompt_differ_and_the_first_is_the_single_one(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    several = generate(gpt2, tokenizer, ["a", "b"], RANDOM.model_copy(update={"n": 3}))
    assert [item.prompt for item in several] == ["a"] * 3 + ["b"] * 3
    assert len({item.token_ids for item in several[:3]}) == 3
    assert several[0] == generate(gpt2, tokenizer, ["a"], RANDOM)[0]


def test_streamed_pieces_join_to_the_text_and_are_whole_characters(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    pieces: dict[int, list[str]] = {index: [] for index in range(len(PROMPTS))}
    found = generate(gpt2, tokenizer, PROMPTS, RANDOM, on_text=lambda index, text: pieces[index].append(text))
    for index, completion in enumerate(found):
        assert "".join(pieces[index]) == completion.text == tokenizer.decode(completion.token_ids)


def test_an_end_token_ends_a_completion(tokenizer: Tokenizer) -> None:
    model = make_model("gpt2", tie_embeddings=False)
    weights = dict(model.named_parameters())
    with torch.no_grad():  # a model that always finds the end token likeliest
        weights["final_norm.weight"].zero_()
        weights["final_norm.bias"].fill_(1)
        model.head_weight.zero_()
        model.head_weight[256] = 1
    (completion,) = generate(model, tokenizer, ["a"], GREEDY)
    assert (completion.finish_reason, completion.stop_reason) == ("stop", "eos")
    assert (completion.text, completion.token_ids) == ("", (256,))


def test_stop_strings_are_found_across_tokens_and_left_out(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    (free,) = generate(gpt2, tokenizer, ["a"], RANDOM)
    stop = free.text[5:8]
    assert len(stop) == 3
    (stopped,) = generate(gpt2, tokenizer, ["a"], RANDOM.model_copy(update={"stop": ("never", stop)}))
    assert (stopped.finish_reason, stopped.stop_reason) == ("stop", stop)
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.num_tokens < free.num_tokens


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(alphabet="abc", max_size=30),
    stops=st.lists(st.text(alphabet="abc", min_size=1, max_size=5), max_size=4),
    cuts=st.lists(st.integers(0, 30), max_size=6),
)
def test_stop_strings_do_not_depend_on_how_the_text_was_cut(text: str, stops: list[str], cuts: list[int]) -> None:
    """The reference: whichever stop string is complete first, and of those the longest."""
    ends = [(text.find(stop) + len(stop), text.find(stop)) for stop in stops if stop in text]
    expected = text[: min(ends)[1]] if ends else text
    found = text[min(ends)[1] : min(ends)[0]] if ends else None
    search, shown, place = StopStrings(stops), "", 0
    for cut in [*sorted(cuts), len(text)]:
        if search.found is None:
            shown += search.push(text[place:cut])
            place = max(place, cut)
            assert expected.startswith(shown)  # nothing is shown that must be taken back
    if search.found is None:
        shown += search.flush()
    assert (shown, search.found) == (expected, found)


def test_tokens_beyond_the_tokenizer_are_never_chosen(tokenizer: Tokenizer) -> None:
    model = make_model("gpt2", vocab_size=300)
    for completion in generate(model, tokenizer, PROMPTS, RANDOM):
        assert max(completion.token_ids) < 257


def test_a_repetition_penalty_makes_repeats_rarer(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    def distinct(penalty: float) -> int:
        sampling = SamplingConfig(max_new_tokens=30, temperature=0, repetition_penalty=penalty)
        return sum(len(set(item.token_ids)) for item in generate(gpt2, tokenizer, PROMPTS, sampling))

    assert distinct(100) > distinct(1)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": 0},
        {"top_p": 0},
        {"top_p": 1.1},
        {"min_p": 0},
        {"repetition_penalty": 0},
        {"max_new_tokens": 0},
        {"n": 0},
        {"stop": ("",)},
        {"stop": ("a",) * 10**6},
        {"warmth": 0.5},
        {"typical_p": 0},
        {"logit_bias": {"3": 101}},
        {"bad_words": ("",)},
        {"bad_words": ("a\ud800",)},
        {"bad_words": ("\ufffdb",)},
        {"no_repeat_ngram_size": 0},
        {"presence_penalty": 101},
        {"frequency_penalty": -101},
        {"num_beams": 0},
        {"penalty_alpha": 1.1},
        {"num_beams": 2, "penalty_alpha": 0.5},
        {"n": 3, "num_beams": 2},
        {"n": 2, "penalty_alpha": 0.5},
        {"length_penalty": 2},
        {"top_k": 4, "num_beams": 2},
        {"typical_p": 0.5, "penalty_alpha": 0.5},
    ],
)
def test_values_outside_their_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SamplingConfig.model_validate(values)


def test_prompts_that_are_none_are_refused(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="one text instead of a list"):
        generate(gpt2, tokenizer, "a", GREEDY)
    with pytest.raises(InputError, match="no prompt"):
        generate(gpt2, tokenizer, [], GREEDY)
    with pytest.raises(InputError, match="holds bytes that are not UTF-8; in prompt 2"):
        generate(gpt2, tokenizer, ["a", "\udcff"], GREEDY)
    large = make_tokenizer("bpe:270", lambda: iter(["some words and other words " * 50]))
    with pytest.raises(InputError, match="a tokenizer of 270 tokens for a model of 257"):
        generate(gpt2, large, ["a"], GREEDY)


def test_a_model_with_damaged_weights_is_named_not_sampled(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    with torch.no_grad():
        gpt2.head_weight[0, 0] = math.nan
    for sampling in (GREEDY, RANDOM):
        with pytest.raises(InputError, match="logits are not finite"):
            generate(gpt2, tokenizer, ["a"], sampling)


def test_a_model_in_training_is_sampled_without_dropout_and_left_in_training(tokenizer: Tokenizer) -> None:
    model = make_model("gpt2", dropout_embedding=0.5)
    expected: list[Completion] = generate(model, tokenizer, ["abc"], GREEDY)
    assert generate(model.train(), tokenizer, ["abc"], GREEDY) == expected
    assert model.training


@pytest.mark.parametrize("family", ["gpt1", "gpt2", "qwen3"])
def test_calls_that_overlap_and_training_beside_them_do_not_see_each_other(family: str, tokenizer: Tokenizer) -> None:
    """Each draws without dropout, and a model in training trains with it, whoever begins or ends first."""
    dropouts = {f"dropout_{place}": 0.5 for place in ("embedding", "attention", "residual")}
    model = make_model(family, **dropouts)
    expected = generate(model, tokenizer, ["abc"], GREEDY)
    batch = Batch.for_inputs(torch.zeros(1, 8, dtype=torch.int64))

    def drops() -> bool:
        once, again = (model.hidden_states(model.embed(batch), batch) for _ in range(2))
        return not torch.equal(once, again)

    model.train()
    first, second = Scheduler(model, tokenizer), Scheduler(model, tokenizer)
    found = dict[int, Completion]()
    for scheduler in (first, second):
        scheduler.add(Request("abc", GREEDY))
        scheduler.step()
        assert drops()
    model.eval()  # an evaluation in the middle of training
    assert generate(model, tokenizer, ["abc"], GREEDY) == expected
    model.train()
    for scheduler in (first, second):
        while scheduler.has_work:
            found |= {event.request_id: event.completion for event in scheduler.step() if event.completion}
        assert [found.pop(0)] == expected
        assert drops()
