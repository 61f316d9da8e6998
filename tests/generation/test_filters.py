"""Filters do what their sources say: against transformers where it has them, and by their properties."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.generation.filters import (
    apply_filters,
    divide_by_temperature,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    make_filters,
    penalise_repetition,
)
from textwright.generation.request import SamplingConfig
from textwright.generation.sampling import draw
from textwright.tokens import make_tokenizer

BYTES = make_tokenizer("byte", lambda: iter(()))
LOGITS = torch.randn(6, 97, generator=torch.Generator().manual_seed(0)) * 4
SEEN = torch.randint(0, 97, (6, 15), generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_filters_are_those_of_transformers() -> None:
    from transformers.generation import logits_process as theirs

    pairs = [
        (theirs.TemperatureLogitsWarper(0.6), divide_by_temperature(LOGITS, 0.6)),
        (theirs.TopKLogitsWarper(7), keep_top_k(LOGITS, 7)),
        (theirs.TopPLogitsWarper(0.83), keep_top_p(LOGITS, 0.83)),
        (theirs.MinPLogitsWarper(0.07), keep_min_p(LOGITS, 0.07)),
        (theirs.RepetitionPenaltyLogitsProcessor(1.7), penalise_repetition(LOGITS, SEEN, 1.7)),
    ]
    for warper, ours in pairs:
        expected = warper(SEEN, LOGITS.clone())
        torch.testing.assert_close(ours.softmax(-1), expected.softmax(-1), msg=type(warper).__name__)


# Apart by at least 2^-10: what differs by less than rounding is a tie once it is divided by a temperature.
apart = st.integers(-50 << 10, 50 << 10).map(lambda value: value / 1024)


@settings(max_examples=100, deadline=None)
@given(
    values=st.lists(apart, min_size=2, max_size=30),
    temperature=st.floats(0.01, 10),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(0.01, 1),
    min_p=st.none() | st.floats(0.01, 1),
)
def test_whatever_is_asked_the_likeliest_stays_the_order_holds_and_probabilities_sum_to_one(
    values: list[float], temperature: float, top_k: int | None, top_p: float | None, min_p: float | None
) -> None:
    logits = torch.tensor([values])
    sampling = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    filtered = apply_filters(logits, make_filters(sampling, BYTES), [])
    assert math.isclose(float(filtered.softmax(-1).sum()), 1, abs_tol=1e-5)
    assert filtered[0, int(logits.argmax())] == filtered.max() > -math.inf
    kept = filtered[0] > -math.inf
    if not kept.all():
        assert logits[0][kept].min() >= logits[0][~kept].max()


def test_draws_come_as_often_as_their_probabilities_say() -> None:
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125, 0.0]).log().repeat(4000, 1)
    ids = draw(logits, torch.rand(4000, generator=torch.Generator().manual_seed(0)).tolist())
    counts = ids.bincount(minlength=5).tolist()
    assert counts[4] == 0
    expected = [2000, 1000, 500, 500]
    assert sum((seen - due) ** 2 / due for seen, due in zip(counts, expected, strict=False)) < 16.3  # chi2, p = 0.001


def test_the_edges_of_the_random_number_hit_real_tokens() -> None:
    logits = torch.tensor([[-math.inf, 0.0, -math.inf, 0.0, -math.inf]]).repeat(3, 1)
    assert draw(logits, [0.0, 0.5, 1 - 2**-53]).tolist() == [1, 3, 3]
