"""Beam search finds transformers' beams and scores, and the likeliest text of all where the beams are wide enough."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from tests.generation.conftest import CONTEXT, make_model
from textwright.checkpoint.model_folder import save_model
from textwright.core.errors import InputError
from textwright.generation.generate import generate
from textwright.generation.request import Completion, SamplingConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer

PROMPTS = ["a", "The quick brown", "", "床前"]


def noisy_model(seed: int, family: str = "gpt2") -> LanguageModel:
    """A model of its own for each seed, in whose beams the end token often stands."""
    model = make_model(family, tie_embeddings=False)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        model.head_weight[:256] *= 0.5
        model.head_weight[256] = torch.randn(model.hidden_size, generator=generator)
    return model.eval()


def searched(model: LanguageModel, tokenizer: Tokenizer, prompts: list[str], **sampling: object) -> list[Completion]:
    config = SamplingConfig.model_validate({"max_new_tokens": 10, "num_beams": 4, "n": 4} | sampling)
    return generate(model, tokenizer, prompts, config)


@pytest.mark.parametrize("length_penalty", [1.0, 0.0, 2.0, -1.0])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_beams_and_their_scores_are_those_of_transformers(
    length_penalty: float, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM

    ends = set()
    for seed in range(3):
        model = noisy_model(seed)
        save_model(model, tokenizer, tmp_path / str(seed))
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / str(seed), dtype=torch.float32).eval()
        for prompt, filters in itertools.product(PROMPTS[:3], (False, True)):
            found = searched(
                model,
                tokenizer,
                [prompt],
                num_beams=5,
                length_penalty=length_penalty,
                repetition_penalty=1.3 if filters else 1.0,
                no_repeat_ngram_size=2 if filters else None,
            )
            ids = torch.tensor([tokenizer.encode(prompt) or [256]])
            expected = theirs.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                num_beams=5,
                num_return_sequences=4,
                length_penalty=length_penalty,
                repetition_penalty=1.3 if filters else 1.0,
                no_repeat_ngram_size=2 if filters else 0,
                early_stopping=False,
                do_sample=False,
                max_new_tokens=10,
                eos_token_id=256,
                pad_token_id=256,
                return_dict_in_generate=True,
                output_scores=True,
            )
            for completion, sequence, score in zip(
                found, expected.sequences, expected.sequences_scores.tolist(), strict=True
            ):
                new = sequence[ids.shape[1] :].tolist()
                assert list(completion.token_ids) == new[: completion.num_tokens]
                assert set(new[completion.num_tokens :]) <= {256}  # padding
                if not filters:  # which move scores away from what the model saw
                    ours = completion.logprob / completion.num_tokens**length_penalty
                    assert ours == pytest.approx(score, abs=1e-4)
                ends.add(completion.finish_reason)
    assert ends == {"stop", "length"}


def test_wide_beams_find_the_likeliest_text_of_all(model: LanguageModel, tokenizer: Tokenizer) -> None:
    """The reference: all texts of two tokens."""
    found = searched(model, tokenizer, ["abc"], max_new_tokens=2, num_beams=257, n=5, length_penalty=0)
    prompt = tokenizer.encode("abc")
    texts = torch.tensor([[*prompt, token] for token in range(257)])
    with torch.no_grad():
        hidden = model.extend(texts, [4] * 257, model.empty_cache(257), range(257))
        first, second = model.logits(hidden[:, -2:]).log_softmax(-1).unbind(1)
    ended = {(256,): float(first[0, 256])}
    scores = ended | {(one, two): float(first[0, one] + second[one, two]) for one in range(256) for two in range(257)}
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:5]
    assert [completion.token_ids for completion in found] == best
    assert [completion.logprob for completion in found] == pytest.approx([scores[text] for text in best], abs=1e-4)


def test_prompts_do_not_depend_on_each_other_nor_on_how_many_texts_are_asked_for(
    model: LanguageModel, tokenizer: Tokenizer
) -> None:
    together = searched(model, tokenizer, PROMPTS, max_new_tokens=5)
    assert together[4:8] == searched(model, tokenizer, PROMPTS[1:2], max_new_tokens=5)
    assert together[::4] == searched(model, tokenizer, PROMPTS, max_new_tokens=5, n=1)
    again = searched(model, tokenizer, ["a", "a"], max_new_tokens=5, n=2)
    assert again == together[:2] * 2


def test_a_stop_string_ends_a_beam(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    free = searched(gpt2, tokenizer, ["a"])[0]
    stop = free.text[1:3]
    for completion in searched(gpt2, tokenizer, ["a"], stop=(stop,)):
        assert stop not in completion.text
        written = tokenizer.decode(completion.token_ids)
        assert (completion.stop_reason == stop) == (stop in written)
        assert written.removesuffix(stop) == completion.text or completion.stop_reason != stop


def test_a_banned_word_is_in_no_beam(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    word = next(letter for letter in searched(gpt2, tokenizer, ["a"])[0].text if letter.isascii())
    assert all(word not in found.text for found in searched(gpt2, tokenizer, ["a"], bad_words=(word,)))


def test_where_only_one_text_is_allowed_all_samples_are_that_one(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    found = searched(only_ascii(gpt2), tokenizer, ["a"], bad_words=tuple(map(chr, range(128))))
    assert [completion.token_ids for completion in found] == [(256,)] * 4


def only_ascii(model: LanguageModel) -> LanguageModel:
    """The model with minus infinity for bytes that are no ASCII."""
    plain = model.logits

    def fewer(hidden: torch.Tensor) -> torch.Tensor:
        logits = plain(hidden).clone()
        logits[..., 128:256] = -math.inf
        return logits

    model.logits = fewer  # type: ignore[method-assign]
    return model


def test_reports_say_how_each_token_of_a_beam_came_about(model: LanguageModel, tokenizer: Tokenizer) -> None:
    for completion in searched(model, tokenizer, ["abc"], top_logprobs=2, temperature=0.1):
        assert tuple(report.token_id for report in completion.reports) == completion.token_ids
        assert sum(math.log(report.p) for report in completion.reports) == pytest.approx(completion.logprob, abs=1e-3)
        for report in completion.reports:
            assert report.filtered_p == pytest.approx(report.p, abs=1e-5)  # no temperature


def test_streamed_text_is_the_text(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    pieces: dict[int, str] = {}
    config = SamplingConfig(max_new_tokens=10, num_beams=3, n=2)
    found = generate(
        gpt2,
        tokenizer,
        ["a", "b"],
        config,
        on_text=lambda index, text: pieces.update({index: pieces.get(index, "") + text}),
    )
    assert [pieces.get(index, "") for index in range(4)] == [completion.text for completion in found]


def test_text_that_outgrows_the_context_is_refused(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    assert len(searched(gpt2, tokenizer, ["abcd"], max_new_tokens=CONTEXT - 4)) == 4
    with pytest.raises(InputError, match="a prompt of 4 tokens and 29 new ones in a context of 32, .* at most 28, "):
        searched(gpt2, tokenizer, ["a", "abcd"], max_new_tokens=CONTEXT - 3)
    with pytest.raises(InputError, match="in a search; shorten the prompt, or leave out num_beams"):
        searched(gpt2, tokenizer, ["a" * CONTEXT], max_new_tokens=1)


def test_a_model_with_damaged_weights_is_named(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    gpt2.head_weight.data[0, 0] = math.nan
    with pytest.raises(InputError, match="logits are not finite"):
        searched(gpt2, tokenizer, ["a"])


@pytest.mark.parametrize(("num_beams", "groups", "penalty"), [(4, 2, 1.5), (3, 3, 0.7), (6, 2, 5.0)])
def test_diverse_beams_are_those_of_the_algorithm(
    model: LanguageModel, tokenizer: Tokenizer, num_beams: int, groups: int, penalty: float
) -> None:
    """The reference: group after group, every text read anew; what earlier groups took costs later ones."""
    asked = {"num_beams": num_beams, "n": num_beams, "num_beam_groups": groups, "diversity_penalty": penalty}
    found = searched(model, tokenizer, ["abc"], max_new_tokens=5, length_penalty=1.0, **asked)
    prompt, width = tuple(tokenizer.encode("abc")), num_beams // groups
    live = [[((), 0.0)] for _ in range(groups)]
    ended: list[list[tuple[tuple[int, ...], float]]] = [[] for _ in range(groups)]
    for length in range(1, 6):
        taken: list[int] = []
        for group in range(groups):
            longer = []
            for text, total in live[group]:
                ids = torch.tensor([[*prompt, *text]])
                with torch.no_grad():
                    hidden = model.extend(ids, [ids.shape[1]], model.empty_cache(1), [0])
                    logprobs = model.logits(hidden[0, -1:]).log_softmax(-1)[0].tolist()
                costs = [penalty * taken.count(token) for token in range(257)]
                longer += [((*text, t), total + logprobs[t] - costs[t]) for t in range(257)]
            longer = sorted(longer, key=lambda one: one[1], reverse=True)[: 2 * width]
            over = [one for one in longer if one[0][-1] == 256 or length == 5]
            ended[group] += [one for one in longer[:width] if one in over]
            ended[group] = sorted(ended[group], key=lambda one: one[1] / len(one[0]), reverse=True)[:width]
            live[group] = [one for one in longer if one not in over][:width]
            worst = ended[group][-1] if len(ended[group]) == width else None
            if worst and live[group] and live[group][0][1] / length <= worst[1] / len(worst[0]):
                live[group] = []
            taken += [text[-1] for text, _ in live[group]]
    best = sorted((one for group in ended for one in group), key=lambda one: one[1] / len(one[0]), reverse=True)
    assert [one.token_ids for one in found[: len(best)]] == [text for text, _ in best]
    plain = searched(model, tokenizer, ["abc"], max_new_tokens=5, num_beams=num_beams, n=num_beams)
    assert len({one.token_ids[0] for one in found}) >= len({one.token_ids[0] for one in plain})
