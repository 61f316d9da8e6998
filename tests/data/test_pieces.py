"""A text in pieces is the text, and each piece fits."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.data.examples import Example
from textwright.data.pieces import cut_example, cut_text
from textwright.text.document import Document
from textwright.tokens import Tokenizer, make_tokenizer

WORDS = "the cat sat on the mat, and the dog looked at the cat.\n" * 20
TOKENIZERS = {kind: make_tokenizer(kind, lambda: iter([WORDS])) for kind in ("byte", "bpe:300")}


@given(
    text=st.text(max_size=150) | st.text(alphabet="ab 月🙂\n", max_size=150) | st.just(WORDS),
    max_tokens=st.integers(4, 40),
    kind=st.sampled_from(sorted(TOKENIZERS)),
)
def test_pieces_are_the_text_and_fit(text: str, max_tokens: int, kind: str) -> None:
    pieces = cut_text(text, TOKENIZERS[kind], max_tokens)
    assert "".join(pieces) == text
    assert all(len(TOKENIZERS[kind].encode(piece)) <= max_tokens for piece in pieces)
    assert all(pieces) or pieces == [""]


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
def test_pieces_end_before_white_space_and_are_as_long_as_can_be(tokenizer: Tokenizer) -> None:
    pieces = cut_text(WORDS, tokenizer, 24)
    assert all(piece[0].isspace() for piece in pieces[1:])
    for piece, following in pairwise(pieces):
        word = (following.split() or [""])[0]
        assert len(tokenizer.encode(f"{piece} {word}")) > 24 - 12, "with the next word there would have been no room"
    assert cut_text("short", tokenizer, 24) == ["short"]
    assert cut_text("", tokenizer, 24) == [""]


def test_white_space_at_the_end_is_no_piece_of_its_own() -> None:
    assert cut_text("one two three\n", TOKENIZERS["byte"], 13) == ["one", " two three\n"]


def test_a_character_of_more_tokens_is_a_piece_of_its_own() -> None:
    assert cut_text("a🙂b", TOKENIZERS["byte"], 2) == ["a", "🙂", "b"]


def test_of_an_example_in_pieces_the_same_is_learned() -> None:
    document = Document("here", "7", spans=((0, 3), (8, 13)))
    example = Example("one two three four five", document, header="[x: y]\n")
    pieces = list(cut_example(example, TOKENIZERS["byte"], 8))
    assert [piece.text for piece in pieces] == ["one two", " three"]  # nothing is learned of " four", " five"
    learned = ["".join(piece.text[start:stop] for start, stop in piece.document.spans or ()) for piece in pieces]
    assert learned == ["one", "three"]
    assert {piece.header for piece in pieces} == {"[x: y]\n"}
    assert [piece.is_last for piece in pieces] == [False, False]
    plain = list(cut_example(Example("one two three", Document("here")), TOKENIZERS["byte"], 8))
    assert [(piece.text, piece.is_last) for piece in plain] == [("one two", False), (" three", True)]
    lines = Example("one:\nA: two\nB: three four\n", Document("here", spans=((7, 12),)))
    assert [piece.text for piece in cut_example(lines, TOKENIZERS["byte"], 16)] == ["one:\nA: two\n"]
    unfinished = Example("one two three", Document("here"), is_last=False)
    assert not any(piece.is_last for piece in cut_example(unfinished, TOKENIZERS["byte"], 8))
