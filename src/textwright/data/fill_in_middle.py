"""Filling in the middle: a document is rearranged, so that who reads forwards learns to write what stands between.

::

    document     prefix  middle  suffix  |                                              (| is the end token)
    spm, learned <|fim_prefix|> <|fim_suffix|> suffix <|fim_middle|> prefix middle |
    spm, asked   <|fim_prefix|> <|fim_suffix|> suffix <|fim_middle|> prefix
    psm, learned <|fim_prefix|> prefix <|fim_suffix|> suffix <|fim_middle|> middle |
    psm, asked   <|fim_prefix|> prefix <|fim_suffix|> suffix <|fim_middle|>

What we teach is ``spm``: the middle goes on from the prefix as any text does, which a small model can do already, and
only what the suffix says is new. Models of others read ``psm``. The three parts are cut out by characters (Unicode code
points), and each is made into tokens by itself, so that what is asked is cut into the tokens that were learned. All of
it is learned, the three sentinel tokens too.

Source: Bavarian et al. 2022, "Efficient training of language models to fill in the middle", arXiv:2207.14255, section
3: both orders (of suffix, prefix, middle the second variant), and places by character.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import StringConstraints, model_validator

from textwright.core.config import Config
from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.tokens.tokenizer import Ids, Tokenizer

Sentinel = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Order = Literal["psm", "spm"]
"""Prefix, suffix, middle, or suffix, prefix, middle."""


_LINE = re.compile(r" ?\S(?:[^\n]*\S)?")
"""What a line says."""


@dataclass(frozen=True)
class FimTokens:
    """The ids of the three sentinel tokens."""

    prefix: int
    suffix: int
    middle: int
    order: Order = "psm"
    """In which the parts are read."""


@dataclass(frozen=True)
class Middle:
    """Where the middle of a text lies, and what marks the parts once it comes last."""

    start: int
    """Its first character."""
    stop: int
    """After its last."""
    sentinels: FimTokens


class FillInMiddle(Config):
    """A model's three sentinel tokens, as they are written. What is not set is ours."""

    prefix: Sentinel = "<|fim_prefix|>"
    """Before what stands before the hole."""
    suffix: Sentinel = "<|fim_suffix|>"
    """Before what stands after it."""
    middle: Sentinel = "<|fim_middle|>"
    """Before what fills it; and before the prefix, where that comes after the suffix."""
    order: Order = "psm"
    """Of the parts."""

    @model_validator(mode="after")
    def _tell_apart(self) -> Self:
        if len(set(self.texts)) < len(self.texts):
            raise ValueError(f"three different tokens, not {', '.join(self.texts)}")
        return self

    @property
    def texts(self) -> tuple[str, str, str]:
        """The three, in the order in which they are read."""
        return self.prefix, self.suffix, self.middle

    def ids(self, tokenizer: Tokenizer) -> FimTokens:
        """Their ids.

        Raises:
            InputError: the tokenizer has not all of them among its added tokens.
        """
        known = {token.content: token.id for token in tokenizer.added_tokens}
        for text in self.texts:
            if text not in known:
                raise InputError(
                    f"the tokenizer has no token {text!r}",
                    expected=f"{', '.join(self.texts)} among its added tokens, to fill in the middle",
                    fix="use the tokenizer that the model was trained with",
                )
        prefix, suffix, middle = (known[text] for text in self.texts)
        return FimTokens(prefix, suffix, middle, self.order)


KNOWN_SENTINELS = (
    FillInMiddle(),  # ours, and Qwen's and CodeGemma's
    FillInMiddle(prefix="<fim_prefix>", suffix="<fim_suffix>", middle="<fim_middle>"),  # StarCoder, Granite
    FillInMiddle(prefix="<fim-prefix>", suffix="<fim-suffix>", middle="<fim-middle>"),  # SantaCoder
    FillInMiddle(prefix="<｜fim▁begin｜>", suffix="<｜fim▁hole｜>", middle="<｜fim▁end｜>"),  # DeepSeek-Coder
)
"""Of models that were trained to read them in this order."""


def find_sentinels(tokenizer: Tokenizer) -> FillInMiddle | None:
    """The first of the known sentinels that a tokenizer has all three of among its added tokens."""
    there = {token.content for token in tokenizer.added_tokens}
    return next((known for known in KNOWN_SENTINELS if there.issuperset(known.texts)), None)


def is_chosen(text: str, rate: float, seed: int) -> bool:
    """Whether a text is one of those that are rearranged, whatever else is in the data, and in whatever order.

    Args:
        text: of a document, or a piece of one.
        rate: how many are, 0 to 1.
        seed: another gives others.
    """
    return (hash_u64("fim", seed, text) >> 11) * 2.0**-53 < rate


def draw_middle(text: str, sentinels: FimTokens, seed: int, attempt: int = 0) -> Middle:
    """The middle of a text: as often a line of it as what stands between two different places among its characters.

    All lines that are not blank are equally likely, and so are all pairs of places. A line is one without the white
    space about it, but for the last space before it, which belongs to the token that it begins with. Prefix and suffix
    may be empty, the middle is not.

    Args:
        text: not empty.
        sentinels: the model's.
        seed: another gives other places, and so does another ``attempt``.
        attempt: counts from 0.
    """

    def draw(what: str) -> int:
        return hash_u64(f"fim {what}", seed, attempt, text)

    lines = list(_LINE.finditer(text)) if draw("way") % 2 else []
    if lines:
        return Middle(*lines[draw("line") % len(lines)].span(), sentinels)
    first, second = draw("first") % (len(text) + 1), draw("second") % len(text)
    second += second >= first
    return Middle(min(first, second), max(first, second), sentinels)


def asked_ids(
    prefix: str, suffix: str, sentinels: FimTokens, tokenizer: Tokenizer, *, special_tokens: bool = False
) -> list[int]:
    """The ids that ask for what stands between two texts.

    Args:
        prefix: what stands before it.
        suffix: what stands after it.
        sentinels: the model's.
        tokenizer: the model's.
        special_tokens: read special tokens that are written in the texts as what they are.
    """
    before, after = (tokenizer.encode(text, special_tokens=special_tokens) for text in (prefix, suffix))
    if sentinels.order == "spm":
        return [sentinels.prefix, sentinels.suffix, *after, sentinels.middle, *before]
    return [sentinels.prefix, *before, sentinels.suffix, *after, sentinels.middle]


def rearranged_ids(text: str, middle: Middle, tokenizer: Tokenizer) -> Ids:
    """The ids of a text whose middle comes last, without those that begin and end a document.

    Args:
        text: of a document.
        middle: its middle.
        tokenizer: the model's.
    """
    start, stop = middle.start, middle.stop
    asked = asked_ids(text[:start], text[stop:], middle.sentinels, tokenizer)
    return np.array([*asked, *tokenizer.encode(text[start:stop])], dtype=np.uint32)
