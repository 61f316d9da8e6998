"""The loss at each position is what a pass for each token says, and bins are what they are called."""

import math

import pytest
import torch

from tests.evaluation.test_evaluation import log_p
from textwright.core.errors import InputError
from textwright.evaluation.language_modelling import score_text
from textwright.evaluation.loss_by_position import PositionBin, loss_by_position
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

CONTEXT = 12
TEXTS = ["The first text isn't long.", "x", "A longer text,\nof two lines: 床前明月光! " * 3]


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
    assert isinstance(built, LanguageModel)
    return built.eval()


@pytest.mark.parametrize("window", [CONTEXT, 5, 1])
def test_each_position_has_the_losses_of_the_slow_way(model: LanguageModel, tokenizer: Tokenizer, window: int) -> None:
    losses: dict[int, list[float]] = {}
    for text in TEXTS:
        ids = [tokenizer.end_id, *tokenizer.encode(text)]
        for place in range(1, len(ids)):
            start = (place - 1) // window * window
            losses.setdefault(place - 1 - start, []).append(-log_p(model, ids[start:place], ids[place]))
    found = loss_by_position(model, tokenizer, TEXTS, window=window, bins=range(window), rows=3)
    assert [(one.first, one.last, one.num_tokens) for one in found.bins] == [
        (place, place, len(losses[place])) for place in range(window)
    ]
    for one in found.bins:
        assert one.loss_nats == pytest.approx(sum(losses[one.first]) / len(losses[one.first]), rel=1e-5)


def test_the_mean_over_all_positions_is_that_of_windows_side_by_side(
    model: LanguageModel, tokenizer: Tokenizer
) -> None:
    text = "ab" * 3 * CONTEXT  # ends with a window
    found = loss_by_position(model, tokenizer, [text])
    assert found.window == CONTEXT
    assert [(one.first, one.last) for one in found.bins] == [(0, 0), (1, 1), (2, 3), (4, 7), (8, 11)]
    num_tokens = sum(one.num_tokens for one in found.bins)
    mean = sum(one.loss_nats * one.num_tokens for one in found.bins) / num_tokens
    whole = score_text(model, tokenizer, [text], stride=CONTEXT)
    assert (num_tokens, mean) == (whole.num_tokens, pytest.approx(whole.loss_nats_per_token))


def test_bins_of_ones_own_and_such_that_no_text_reaches(model: LanguageModel, tokenizer: Tokenizer) -> None:
    done = list[int]()
    found = loss_by_position(model, tokenizer, ["abc", "de"], bins=[0, 2, 8], progress=done.append)
    assert [(one.first, one.last, one.num_tokens) for one in found.bins] == [(0, 1, 4), (2, 7, 1)]
    assert found.as_json()[1] == {"from": 2, "to": 7, "loss_nats": found.bins[1].loss_nats, "num_tokens": 1}
    assert done == [3, 5]


def test_a_model_that_knows_nothing_loses_as_much_everywhere(model: LanguageModel, tokenizer: Tokenizer) -> None:
    uniform = build(model.config)
    assert isinstance(uniform, LanguageModel)
    with torch.no_grad():
        for parameter in uniform.parameters():
            parameter.zero_()
    found = loss_by_position(uniform, tokenizer, TEXTS, window=4)
    assert [one.loss_nats for one in found.bins] == pytest.approx([math.log(257)] * 3)
    assert isinstance(found.bins[0], PositionBin)


@pytest.mark.parametrize("bins", [[], [1, 2], [0, 4, 4], [0, 5, 3], [0, CONTEXT]])
def test_bins_out_of_order_are_refused(model: LanguageModel, tokenizer: Tokenizer, bins: list[int]) -> None:
    with pytest.raises(InputError, match="bins = .*positions in order, the first 0, all below the window, 12"):
        loss_by_position(model, tokenizer, TEXTS, bins=bins)


def test_windows_that_the_model_cannot_have_and_no_text_are_refused(model: LanguageModel, tokenizer: Tokenizer) -> None:
    for window in (0, CONTEXT + 1):
        with pytest.raises(InputError, match=f"a window of {window}; expected 1 to 12"):
            loss_by_position(model, tokenizer, TEXTS, window=window)
    with pytest.raises(InputError, match="no text to evaluate"):
        loss_by_position(model, tokenizer, ["", ""])
