"""Texts in pieces of so many tokens: for what must lie in one row whole, however long its document is."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from textwright.data.examples import Example
from textwright.text.chunks import find_boundary
from textwright.tokens.tokenizer import Tokenizer

SEARCHED_OF = 2
"""The last half of a piece is searched for white space to end at."""
Spans = Sequence[tuple[int, int]]


def cut_text(
    text: str,
    tokenizer: Tokenizer,
    max_tokens: int,
    spans: Spans = (),
    drawn_tokens: Callable[[int], int] | None = None,
) -> list[str]:
    """A text in pieces, which joined are the text.

    Each is as long as can be with at most ``max_tokens`` tokens of its own, and ends before white space where there is
    some in its last half (see ``text.chunks.find_boundary``). A single character may have more. A text that has no more
    stays whole.

    Args:
        text: any.
        tokenizer: makes the tokens.
        max_tokens: at least 1.
        spans: [start, stop) in characters, in order and apart, that are made into tokens by themselves. Where there are
            some, a piece ends after a line instead, if one does in its last half.
        drawn_tokens: of the piece that begins with such a character, how many tokens it is to have instead, at least 1:
            some more or fewer, and never above ``max_tokens``.

    Raises:
        InputError: the text is longer, and the tokenizer does not say which tokens are of which characters.
    """
    if len(text.encode()) <= max_tokens:  # a token is a byte at least
        return [text]
    edges = [edge for span in spans for edge in span]

    def num_tokens(start: int, stop: int) -> int:
        inner = edges[bisect_right(edges, start) : bisect_left(edges, stop)]
        return sum(len(tokenizer.encode_array(text[one:other])) for one, other in pairwise([start, *inner, stop]))

    if num_tokens(0, len(text)) <= max_tokens:
        return [text]
    starts, _ = tokenizer.characters_of(text, tokenizer.encode_array(text))
    pieces, start, end = list[str](), 0, len(text.rstrip())
    while start < len(text):
        first = int(np.searchsorted(starts, start))
        size = max_tokens if drawn_tokens is None else min(max_tokens, drawn_tokens(start))
        while True:
            stop = len(text)
            if first + size < len(starts):
                high = max(start + 1, int(starts[first + size]))
                line_end = text.rfind("\n", high - (high - start - 1) // SEARCHED_OF, high) + 1 if edges else 0
                stop = line_end or find_boundary(text, high - (high - start - 1) // SEARCHED_OF, high + 1)
                if stop >= end and stop - start > 1:  # white space alone would be left, which is no text to learn
                    stop = find_boundary(text, start + 1, start + (stop - start) // 2 + 1)
            # A piece that ends within a word has other tokens than the word, and sometimes more of them.
            num_over = num_tokens(start, stop) - max_tokens
            if num_over <= 0 or size == 1:
                break
            size = max(1, size - num_over)
        pieces.append(text[start:stop])
        start = stop
    return pieces


def cut_example(
    example: Example, tokenizer: Tokenizer, max_tokens: int, drawn_tokens: Callable[[int], int] | None = None
) -> Iterator[Example]:
    """An example's text in pieces as ``cut_text`` has them, each an example; those of which nothing is learned are left
    out. Only the last piece of a document ends.

    Args:
        example: a text without a prompt.
        tokenizer: makes the tokens.
        max_tokens: of a piece.
        drawn_tokens: see ``cut_text``.
    """
    start, spans = 0, example.document.spans
    for piece in cut_text(example.text, tokenizer, max_tokens, spans or (), drawn_tokens):
        stop = start + len(piece)
        learned = None if spans is None else _within(spans, start, stop)
        if learned is None or learned:
            document = replace(example.document, spans=learned)
            is_last = example.is_last and stop == len(example.text)
            yield replace(example, text=piece, document=document, is_last=is_last)
        start = stop


def _within(spans: Spans, start: int, stop: int) -> tuple[tuple[int, int], ...]:
    """Those parts of spans that lie in [start, stop), counted from ``start``."""
    first = bisect_right(spans, start, key=lambda span: span[1])
    last = bisect_left(spans, stop, key=lambda span: span[0])
    return tuple((max(one, start) - start, min(other, stop) - start) for one, other in spans[first:last])
