"""A rearranged document holds all of its text, is asked as it was learned, and is chosen by what it says alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.sentinels import put_back, with_sentinels
from textwright.core.errors import InputError
from textwright.data.fill_in_middle import (
    KNOWN_SENTINELS,
    FillInMiddle,
    FimTokens,
    Middle,
    Order,
    asked_ids,
    draw_middle,
    find_sentinels,
    is_chosen,
    rearranged_ids,
)
from textwright.tokens import make_tokenizer

TEXT = "def add(one, other):\n    return one + other\n\n\nprint(add(1, 2))  # 月光 🙂\n" * 3
PLAIN = make_tokenizer("bpe:300", lambda: iter([TEXT]))
TOKENIZERS = {"bpe": with_sentinels(PLAIN), "byte": with_sentinels(make_tokenizer("byte", lambda: iter(())))}


@given(
    text=st.text(min_size=1, max_size=60) | st.just(TEXT),
    seed=st.integers(0, 99),
    kind=st.sampled_from(("bpe", "byte")),
    order=st.sampled_from(("psm", "spm")),
)
def test_a_rearranged_text_is_the_text(text: str, seed: int, kind: str, order: Order) -> None:
    tokenizer = TOKENIZERS[kind]
    sentinels = FillInMiddle(order=order).ids(tokenizer)
    middle = draw_middle(text, sentinels, seed)
    start, stop = middle.start, middle.stop
    assert 0 <= start < stop <= len(text)
    ids = rearranged_ids(text, middle, tokenizer)
    prefix, found, suffix = put_back(ids, sentinels, tokenizer)
    assert (prefix + found, suffix) == (text[:stop], text[stop:])
    assert prefix == (text[:start] if order == "psm" else "")
    asked = asked_ids(text[:start], text[stop:], sentinels, tokenizer)
    assert ids.tolist() == [*asked, *tokenizer.encode(text[start:stop])], "what is asked is how what is learned begins"


def test_special_tokens_are_read_where_they_are_asked_for() -> None:
    tokenizer = TOKENIZERS["byte"]
    sentinels = FillInMiddle().ids(tokenizer)
    end = "<|endoftext|>"
    assert asked_ids(end, "", sentinels, tokenizer, special_tokens=True)[1] == tokenizer.end_id
    assert len(asked_ids(end, "", sentinels, tokenizer)) == 3 + len(end)


def test_so_many_are_chosen_as_were_asked_for_and_always_the_same() -> None:
    texts = [f"document {number}" for number in range(4000)]
    chosen = {text for text in texts if is_chosen(text, 0.3, 1)}
    assert 0.27 < len(chosen) / len(texts) < 0.33  # three standard errors are 0.022
    assert chosen <= {text for text in texts if is_chosen(text, 0.5, 1)}
    assert {text for text in reversed(texts) if is_chosen(text, 0.3, 1)} == chosen
    assert {text for text in texts if is_chosen(text, 0.3, 2)} != chosen
    assert not any(is_chosen(text, 0.0, 1) for text in texts)
    assert all(is_chosen(text, 1.0, 1) for text in texts)


def test_half_of_the_middles_lie_anywhere_each_as_likely_as_every_other() -> None:
    sentinels = FimTokens(1, 2, 3)
    counts = Counter(draw_middle("abc", sentinels, 0, attempt) for attempt in range(12000))
    assert counts.pop(Middle(0, 3, sentinels)) > 6000  # the one line, and by chance
    assert counts.keys() == {Middle(start, stop, sentinels) for start, stop in ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3))}
    assert all(850 < count < 1150 for count in counts.values()), counts  # five standard errors of 1,000
    assert draw_middle("a", sentinels, 0) == Middle(0, 1, sentinels)
    assert draw_middle(" ", sentinels, 0) == Middle(0, 1, sentinels), "no line that says anything"


def test_half_of_the_middles_are_lines_each_as_likely_as_every_other() -> None:
    text, sentinels = "def f(x):\n\n    if x: \n\t y\r\n", FimTokens(1, 2, 3)
    found = [draw_middle(text, sentinels, 0, attempt) for attempt in range(6000)]
    counts = Counter(text[one.start : one.stop] for one in found)
    lines = [counts[line] for line in ("def f(x):", " if x:", " y")]
    assert all(850 < count < 1200 for count in lines), lines  # a few of the others are these too


@pytest.mark.parametrize("known", KNOWN_SENTINELS, ids=lambda known: known.prefix)
@pytest.mark.parametrize("special", [True, False])
def test_sentinels_of_others_are_known(known: FillInMiddle, special: bool) -> None:
    assert find_sentinels(PLAIN) is None
    tokenizer = with_sentinels(PLAIN, known, special=special)  # in Qwen's tokenizers they are no special tokens
    assert find_sentinels(tokenizer) == known
    found = known.ids(tokenizer)
    assert (found.prefix, found.suffix, found.middle) == tuple(range(PLAIN.vocab_size, PLAIN.vocab_size + 3))


def test_sentinels_that_cannot_be() -> None:
    with pytest.raises(InputError, match="the tokenizer has no token '<|fim_prefix|>'"):
        FillInMiddle().ids(PLAIN)
    with pytest.raises(InputError, match="three different tokens, not <a>, <a>, <b>"):
        FillInMiddle(prefix="<a>", suffix="<a>", middle="<b>")
    assert find_sentinels(with_sentinels(PLAIN, FillInMiddle(prefix="<other>"))) is None


def test_a_text_that_names_a_sentinel_has_no_sentinel() -> None:
    tokenizer = TOKENIZERS["bpe"]
    assert set(tokenizer.encode("a <|fim_middle|> b")).isdisjoint(tokenizer.special_ids.values())
