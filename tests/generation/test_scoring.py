"""Given texts have the log-probabilities that reading each by itself gives, and what they share is read once."""

import random

import pytest
import torch

from tests.generation.conftest import CONTEXT
from tests.generation.test_scheduler import Counting, make_decoder, toys
from textwright.core.errors import InputError
from textwright.generation.scoring import ScoredText, score
from textwright.models.language_model import LanguageModel
from textwright.models.protocols import Decoder
from textwright.tokens import Tokenizer

__all__ = ["toys"]
DECODERS = ("gpt2 cpu", "gpt2 torch", "qwen3 cpu", "gru", "bigram")


def slowly(decoder: Decoder, text: ScoredText) -> tuple[torch.Tensor, torch.Tensor]:
    """The reference: one text at a time, from an empty cache."""
    ids = torch.tensor([list(text.ids)])
    with torch.no_grad():
        hidden = decoder.extend(ids[:, :-1], [ids.shape[1] - 1], decoder.empty_cache(1), [0])
        logits = decoder.logits(hidden[0, text.num_given - 1 :]).float()
    targets = ids[0, text.num_given :]
    return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0], logits.argmax(-1) == targets


def check(decoder: Decoder, texts: list[ScoredText], **named: int) -> None:
    found = list(score(decoder, texts, **named))
    assert len(found) == len(texts)
    for scores, text in zip(found, texts, strict=True):
        logprobs, likeliest = slowly(decoder, text)
        torch.testing.assert_close(scores.logprobs, logprobs, atol=1e-4, rtol=1e-4)
        assert torch.equal(scores.is_likeliest, likeliest)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("shared", [0, 20, 40])
def test_scores_are_those_of_each_text_by_itself(name: str, shared: int, tokenizer: Tokenizer) -> None:
    """Clusters of texts that begin alike, with different parts given, in any order."""
    decoder, draw = make_decoder(name, tokenizer), random.Random(shared)
    texts = []
    for _ in range(3):
        start = draw.choices(range(97, 123), k=shared)
        for _ in range(13):
            ids = [*start, *draw.choices(range(97, 103), k=draw.randint(2, 20))]
            texts.append(ScoredText(ids, draw.choice([1, draw.randint(1, len(ids) - 1), max(1, shared)])))
        texts.append(ScoredText([*start, 97, 98]))
        texts.append(texts[-2])  # the same again
    draw.shuffle(texts)
    check(decoder, texts)


def test_the_size_of_a_batch_and_one_text_alone_change_nothing(gpt2: LanguageModel) -> None:
    texts = [ScoredText(range(5 + number, 20 + 2 * number % 7)) for number in range(9)]
    for batch_size in (1, 4, 9):
        check(gpt2, texts, batch_size=batch_size)
    check(gpt2, texts[:1])


@pytest.mark.parametrize("name", ["gpt2 cpu", "gpt2 torch"])
def test_a_beginning_that_texts_share_is_read_once(name: str, tokenizer: Tokenizer) -> None:
    start = list(range(40))
    texts = [ScoredText([*start, 100 + number, 7, 8, 9], len(start)) for number in range(50)]
    decoder = Counting(make_decoder(name, tokenizer))
    list(score(decoder, texts))
    assert decoder.num_read <= len(start) + 50 * 4


def test_texts_longer_than_a_context_and_empty_ones_are_refused(gpt2: LanguageModel) -> None:
    check(gpt2, [ScoredText([5] * (CONTEXT + 1))])
    for text, message in (
        (ScoredText([5] * (CONTEXT + 2)), f"{CONTEXT + 2} tokens; in text 2; expected at most {CONTEXT + 1}"),
        (ScoredText([5, 6], 2), "nothing to score; in text 2; expected more than the 2 given tokens"),
        (ScoredText([5, 6], 0), "nothing is given before what is scored; in text 2"),
    ):
        with pytest.raises(InputError, match=message):
            list(score(gpt2, [ScoredText([1, 2]), text]))
