"""Tokens that stand beside a tokenizer's model: those that text is cut at before anything else, and special ones."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textwright.core.errors import InputError

Piece = str | int
"""Text to go on with, or the id of an added token."""


@dataclass(frozen=True)
class AddedToken:
    """One of ``added_tokens`` in ``tokenizer.json``."""

    content: str
    id: int
    special: bool = False
    """It never arises from a text, and stands for none; any other is text like the model's own tokens."""
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    """Whether it is looked for in the normalised text, or before."""


def read_added_tokens(rows: Sequence[Mapping[str, Any]]) -> list[AddedToken]:
    """Those of a ``tokenizer.json``. Raises KeyError for a row without content or id."""
    flags = ("special", "single_word", "lstrip", "rstrip", "normalized")
    return [
        AddedToken(row["content"], row["id"], **{flag: bool(row[flag]) for flag in flags if flag in row})
        for row in rows
    ]


def with_added(vocabulary: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], where: str) -> dict[str, Any]:
    """The ids of a vocabulary and of the tokens that are added to it.

    Raises:
        InputError: a token has two.
    """
    ids = dict(vocabulary)
    for row in rows:
        content, index = row["content"], row["id"]
        if ids.setdefault(content, index) != index:
            given = f"{content!r} has the ids {shown_id(ids[content])} and {shown_id(index)}"
            raise InputError(given, where=where, expected="one")
    return ids


def shown_id(index: object) -> str:
    """An id, or what stands in its place, for a message."""
    return f"{index:,}" if type(index) is int else repr(index)


class Splitter:
    """Cuts text at added tokens that are no special ones: first at those of the raw text, then of the normalised.

    At each place the longest token counts, special or not; a special one is passed over as text, as Hugging Face's
    tokenizers do with ``encode_special_tokens``. Tokens with ``single_word``, ``lstrip`` or ``rstrip`` are not for
    here.

    Args:
        tokens: all that are added.
        normalize: what becomes of text between those of the raw text.
    """

    def __init__(self, tokens: Sequence[AddedToken], normalize: Callable[[str], str]) -> None:
        self._normalize = normalize
        raw = {token.content: token for token in tokens if not token.normalized}
        normalised = {normalize(token.content): token for token in tokens if token.normalized}
        self._raw, self._normalised = _Finder(raw), _Finder(normalised)

    def split(self, text: str) -> Iterator[Piece]:
        """The pieces of a text, in order; none of them empty."""
        for piece in self._raw.cut(text):
            if isinstance(piece, int):
                yield piece
            else:
                yield from self._normalised.cut(self._normalize(piece))


class _Finder:
    """Cuts text at some tokens."""

    def __init__(self, tokens: Mapping[str, AddedToken]) -> None:
        self._tokens = tokens
        # Of several that begin at a place, the first that fits counts.
        longest_first = sorted(filter(None, tokens), key=len, reverse=True)
        has_plain = any(not token.special for token in tokens.values())
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if has_plain else None

    def cut(self, text: str) -> Iterator[Piece]:
        start = 0
        for match in self._pattern.finditer(text) if self._pattern is not None else ():
            token = self._tokens[match[0]]
            if token.special:
                continue
            if start < match.start():
                yield text[start : match.start()]
            yield token.id
            start = match.end()
        if start < len(text):
            yield text[start:]
