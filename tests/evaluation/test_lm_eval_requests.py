"""lm-eval's requests are answered as its own class for transformers answers them."""

from pathlib import Path

import pytest
import torch

from tests.evaluation.test_suite import CONTEXT, logprobs, slow_nats
from textwright.core.errors import InputError
from textwright.evaluation.lm_eval_requests import HarnessRequests, encode_pair, sampling_of
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return make_tokenizer("bpe:300", lambda: iter(["the cat sat on the mat and the cat was him " * 20]))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> LanguageModel:
    torch.manual_seed(1)
    size = tokenizer.vocab_size
    built = build(GPTConfig(vocab_size=size, context_length=CONTEXT, num_layers=1, num_heads=2, hidden_size=16))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return built.eval()


@pytest.fixture(scope="module")
def requests(model: LanguageModel, tokenizer: Tokenizer) -> HarnessRequests:
    return HarnessRequests(model, tokenizer)


def test_a_continuation_is_scored_after_its_context(
    model: LanguageModel, tokenizer: Tokenizer, requests: HarnessRequests
) -> None:
    asked = [("the cat", " sat on"), ("the cat ", "sat on"), ("", "the mat"), ("xyz " * 30, " the cat")]
    found = list(requests.loglikelihood(asked))
    assert found[0] == pytest.approx(found[1])  # the space goes over
    for (context, continuation), (logprob, is_greedy) in zip(asked, found, strict=True):
        given, scored = encode_pair(tokenizer, context, continuation)
        ids = [*(given or [tokenizer.end_id]), *scored][-(CONTEXT + 1) :]
        first = len(ids) - len(scored)
        assert logprob == pytest.approx(-sum(slow_nats(model, ids, first, lambda _place: 0)), abs=1e-4)
        assert is_greedy == all(int(logprobs(model, ids[:at]).argmax()) == ids[at] for at in range(first, len(ids)))


def test_a_continuation_that_does_not_fit_is_refused(requests: HarnessRequests) -> None:
    with pytest.raises(InputError, match="0 tokens to score; in the continuation ''"):
        list(requests.loglikelihood([("the cat", "")]))
    with pytest.raises(InputError, match="tokens to score"):
        list(requests.loglikelihood([("the cat", " z" * 40)]))


def test_a_text_of_any_length_is_scored_window_by_window(
    model: LanguageModel, tokenizer: Tokenizer, requests: HarnessRequests
) -> None:
    texts = ["", "the cat", "xyz the cat " * 20]
    found = list(requests.loglikelihood_rolling(texts))
    assert found[0] == 0
    for text, logprob in zip(texts, found, strict=True):
        ids = [tokenizer.end_id, *tokenizer.encode(text)]
        ends = [min(len(ids), 1 + CONTEXT * (number + 1)) for number in range(len(ids))]
        losses = slow_nats(model, ids, 1, lambda at, e=ends: max(0, next(end for end in e if end > at) - 1 - CONTEXT))
        assert logprob == pytest.approx(-sum(losses), abs=1e-3)


def test_texts_are_written_as_asked_for(model: LanguageModel, tokenizer: Tokenizer, requests: HarnessRequests) -> None:
    short, long = requests.generate_until(
        [
            ("the cat", {"until": [], "max_gen_toks": 3}),
            ("xyz " * 30, {"until": "", "max_gen_toks": 4, "do_sample": False}),
        ]
    )
    ids = tokenizer.encode("the cat")
    for _ in range(3):
        ids.append(int(logprobs(model, ids).argmax()))
    assert short == tokenizer.decode(ids[len(tokenizer.encode("the cat")) :])
    assert long
    stopped = requests.generate_until([("the cat", {"until": [short[1:]], "max_gen_toks": 3})])
    assert stopped == [short[:1]] or short[1:] not in stopped[0]
    assert requests.generate_until([]) == []


def test_settings_are_lm_evals() -> None:
    assert sampling_of({}).temperature == 0
    assert sampling_of({}).max_new_tokens == 256
    assert sampling_of({"do_sample": False, "temperature": 0.7}).temperature == 0
    assert sampling_of({"temperature": 0.7, "top_k": 3}).top_k == 3
    assert sampling_of({"do_sample": True}).temperature == 1
    assert sampling_of({"until": "\n", "max_tokens": 5}).stop == ("\n",)
    with pytest.raises(InputError, match="unknown setting 'topk'.*did you mean 'top_k'"):
        sampling_of({"topk": 3})


def test_the_class_for_lm_eval_answers_its_requests(
    model: LanguageModel, tokenizer: Tokenizer, requests: HarnessRequests, tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed: the extra lm-eval has it")
    from lm_eval.api.instance import Instance
    from lm_eval.api.registry import get_model

    from textwright.api.lm_eval_model import TextwrightLM
    from textwright.checkpoint.model_folder import save_model

    save_model(model, tokenizer, tmp_path / "model")
    assert get_model("textwright") is TextwrightLM
    found = TextwrightLM.create_from_arg_string(f"pretrained={tmp_path / 'model'},engine=torch", {"batch_size": 2})
    pair = Instance("loglikelihood", {}, ("the cat", " sat on"), 0)
    text = Instance("loglikelihood_rolling", {}, ("the cat sat",), 0)
    assert found.loglikelihood([pair])[0] == pytest.approx(next(requests.loglikelihood([pair.args])), abs=1e-4)
    assert found.loglikelihood_rolling([text]) == pytest.approx(
        list(requests.loglikelihood_rolling(text.args)), abs=1e-4
    )
    asked = Instance("generate_until", {}, ("the cat", {"max_gen_toks": 3}), 0)
    assert found.generate_until([asked]) == requests.generate_until([asked.args])
    with pytest.raises(InputError, match="the model argument 'dtype'.*expected one of pretrained"):
        TextwrightLM(str(tmp_path / "model"), dtype="float16")
