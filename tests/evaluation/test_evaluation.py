"""Figures are what their formulas say, by a slow reference and by models whose answer is known."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.data.dataset import TokenDataset
from textwright.evaluation.catalog import TASKS, find_task
from textwright.evaluation.compression import compressed_bits_per_byte
from textwright.evaluation.embed import embed_texts
from textwright.evaluation.lambada import last_word_accuracy
from textwright.evaluation.language_modelling import score_text, score_tokens
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.gpt.network import GPT
from textwright.models.hooks import ModelHooks
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

TEXTS = ["The first text isn't long.", "x", "A longer text,\nof two lines: 床前明月光! " * 4]
CONTEXT = 16


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return make_tokenizer("byte", lambda: iter(()))


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(0)
    built = build(GPTConfig(vocab_size=257, context_length=CONTEXT, num_layers=2, num_heads=2, hidden_size=16))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return built.eval()


@pytest.fixture(scope="module")
def uniform(model: LanguageModel) -> LanguageModel:
    """A model that finds every token equally likely."""
    built = build(model.config)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.zero_()
    return built.eval()


@torch.no_grad()
def log_p(model: LanguageModel, seen: list[int], token: int) -> float:
    """The reference: one prediction, one forward pass."""
    batch = Batch.for_inputs(torch.tensor([seen]))
    return float(model.logits(model.hidden_states(model.embed(batch), batch)[:, -1]).log_softmax(-1)[0, token])


def slow_losses(model: LanguageModel, ids: list[int], window: int, stride: int) -> list[float]:
    """Each token but the first, with what is before it in its window."""
    losses, done = [], 1
    while done < len(ids):
        stop = min(len(ids), done + (window if done == 1 else stride))
        start = max(0, stop - 1 - window)
        losses += [-log_p(model, ids[start:place], ids[place]) for place in range(done, stop)]
        done = stop
    return losses


@pytest.mark.parametrize(("window", "stride"), [(CONTEXT, 8), (CONTEXT, 1), (CONTEXT, CONTEXT), (5, 3), (1, 1)])
def test_a_texts_figures_are_those_of_the_slow_way(
    model: LanguageModel, tokenizer: Tokenizer, window: int, stride: int
) -> None:
    losses = [
        loss
        for text in TEXTS
        for loss in slow_losses(model, [tokenizer.end_id, *tokenizer.encode(text)], window, stride)
    ]
    score = score_text(model, tokenizer, TEXTS, window=window, stride=stride, rows=3)
    assert score.num_tokens == len(losses) == sum(len(text.encode()) for text in TEXTS)
    assert score.loss_nats_per_token == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert score.perplexity_per_token == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)
    assert score.perplexity_per_word == pytest.approx(math.exp(sum(losses) / score.num_words), rel=1e-3)
    assert score.bits_per_byte == pytest.approx(sum(losses) / math.log(2) / score.num_bytes, rel=1e-5)
    assert score.bits_per_character == pytest.approx(sum(losses) / math.log(2) / sum(map(len, TEXTS)), rel=1e-5)
    assert (score.window, score.stride, score.num_texts) == (window, stride, 3)
    assert score.num_words == 5 + 1 + 4 * 7
    assert score.num_words_detokenised == 6 + 1 + 4 * 10


def test_a_uniform_model_needs_the_logarithm_of_the_vocabulary(uniform: LanguageModel, tokenizer: Tokenizer) -> None:
    score = score_text(uniform, tokenizer, TEXTS)
    assert score.loss_nats_per_token == pytest.approx(math.log(257), rel=1e-6)
    assert score.bits_per_byte == pytest.approx(math.log2(257), rel=1e-6)


def test_characters_that_the_tokenizer_does_not_know_are_counted(model: LanguageModel) -> None:
    char = make_tokenizer("char", lambda: iter(["abc "]))
    assert score_text(model, char, ["abc xyz"]).num_unknown_characters == 3
    assert score_text(model, char, ["abc cba"]).num_unknown_characters == 0


@pytest.mark.parametrize(("window", "stride"), [(0, 1), (CONTEXT + 1, 1), (8, 9), (8, 0)])
def test_windows_that_the_model_cannot_have_are_refused(
    model: LanguageModel, tokenizer: Tokenizer, window: int, stride: int
) -> None:
    with pytest.raises(InputError, match="a window of|a stride of"):
        score_text(model, tokenizer, TEXTS, window=window, stride=stride)


def test_no_text_is_refused(model: LanguageModel, tokenizer: Tokenizer) -> None:
    for texts in ([], [""]):
        with pytest.raises(InputError, match="no text to evaluate"):
            score_text(model, tokenizer, texts)


def test_validation_predicts_the_stream_end_tokens_too(model: LanguageModel, tokenizer: Tokenizer) -> None:
    tokens = TokenDataset.from_texts(TEXTS, tokenizer)
    ids = tokens.read(0, tokens.num_tokens).tolist()
    losses = [-log_p(model, ids[(i - 1) // 8 * 8 : i], ids[i]) for i in range(1, len(ids))]
    figures = score_tokens(model, tokens, time=8, rows=3)
    assert figures["val_loss_nats"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    expected = sum(losses) / len(losses) * len(ids) / tokens.num_bytes / math.log(2)
    assert figures["val_bits_per_byte"] == pytest.approx(expected, rel=1e-5)


def test_validation_by_documents_predicts_each_by_itself(model: LanguageModel, tokenizer: Tokenizer) -> None:
    tokens = TokenDataset.from_texts(TEXTS, tokenizer)
    total, count = 0.0, 0
    for text in TEXTS:
        ids = [tokenizer.end_id, *tokenizer.encode(text), tokenizer.end_id]
        for place in range(1, len(ids)):
            begin = (place - 1) // 8 * 8  # of its piece of a row's length
            total, count = total - log_p(model, ids[begin:place], ids[place]), count + 1
    figures = score_tokens(model, tokens, time=8, rows=3, by_documents=True)
    assert count == tokens.num_tokens
    assert figures["val_loss_nats"] == pytest.approx(total / count, rel=1e-5)
    assert figures["val_bits_per_byte"] == pytest.approx(total / tokens.num_bytes / math.log(2), rel=1e-5)


def test_last_words_are_judged_whole_and_by_their_context(model: LanguageModel, tokenizer: Tokenizer) -> None:
    passages = ["the cat sat", "one two three four five six", "a b"]
    total = 0.0
    for passage in passages:
        before, _, word = passage.rpartition(" ")
        end = tokenizer.encode(" " + word)
        whole = [tokenizer.end_id, *tokenizer.encode(before), *end][-(CONTEXT + 1) :]
        for place in range(len(whole) - len(end), len(whole)):
            total -= log_p(model, whole[:place], whole[place])
    score = last_word_accuracy(model, tokenizer, passages, rows=2)
    assert score.num_passages == 3
    assert score.perplexity == pytest.approx(math.exp(total / 3), rel=1e-4)


def test_a_model_that_knows_the_word_gets_it_right(tokenizer: Tokenizer) -> None:
    class Parrot(GPT):
        """Finds 'b' after every token that is a space, and a space after everything else."""

        def hidden_states(self, embedded: torch.Tensor, batch: Batch, hooks: ModelHooks | None = None) -> torch.Tensor:
            follows = torch.where(batch.input_ids == ord(" "), ord("b"), ord(" "))
            return torch.nn.functional.one_hot(follows, 257).float() * 20

        def logits(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden

    parrot = Parrot(GPTConfig(vocab_size=257, context_length=CONTEXT, num_layers=1, num_heads=2, hidden_size=16)).eval()
    assert last_word_accuracy(parrot, tokenizer, ["a b", "a c", "x y b", "x bb"]).accuracy == 0.5


@pytest.mark.parametrize("passage", ["", "word", "   ", "long " + "y" * 40])
def test_a_passage_without_a_last_word_is_refused(model: LanguageModel, tokenizer: Tokenizer, passage: str) -> None:
    with pytest.raises(InputError, match="last word|alone fills the context"):
        last_word_accuracy(model, tokenizer, [passage])


def test_lambada_itself_is_read(model: LanguageModel, tokenizer: Tokenizer, data_folder: Callable[[str], Path]) -> None:
    from itertools import islice

    from textwright.text.read import read_texts

    files = sorted(data_folder("lambada").iterdir())
    passages = list(islice(read_texts(files), 20))
    assert find_task("lambada")(model, tokenizer, passages).num_passages == 20


def test_every_task_of_the_table_is_there() -> None:
    assert all(callable(find_task(name)) for name in TASKS)
    with pytest.raises(InputError, match="unknown task 'lambda'.*did you mean 'lambada'"):
        find_task("lambda")


def test_a_vector_is_the_mean_of_a_texts_hidden_states_whatever_is_beside_it(
    model: LanguageModel, tokenizer: Tokenizer
) -> None:
    embedded = embed_texts(model, tokenizer, TEXTS, rows=2)
    together = embedded.vectors
    assert embedded.num_long == sum(len(tokenizer.encode(text)) > CONTEXT for text in TEXTS) > 0
    assert together.shape == (3, 16)
    assert together.dtype == torch.float32
    for text, vector in zip(TEXTS, together, strict=True):
        ids = tokenizer.encode(text)
        hidden = []
        for start in range(0, len(ids), CONTEXT):
            batch = Batch.for_inputs(torch.tensor([ids[start : start + CONTEXT]]))
            with torch.no_grad():
                hidden.append(model.hidden_states(model.embed(batch), batch)[0])
        torch.testing.assert_close(vector, torch.cat(hidden).mean(dim=0), atol=1e-5, rtol=1e-5)
    with pytest.raises(InputError, match="text 1 is empty"):
        embed_texts(model, tokenizer, ["a", ""])


def test_baselines_are_the_compressors_own_sizes() -> None:
    text = "to be or not to be, that is the question " * 100
    figures = compressed_bits_per_byte([text])
    assert list(figures) == ["xz -9e", "zstd -19"]
    assert all(0 < bits < 1 for bits in figures.values())
    assert compressed_bits_per_byte([]) == {}
