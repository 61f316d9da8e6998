"""How the loss goes with how much a model has seen: whether a long context is of use to it.

::

    text      <end> t h e a t o m o f h y d r o g e n        a window of 8 tokens
    window 1    0   1 2 3 4 5 6 7                            position 0 sees the end token and predicts "t"
    window 2                      0 1 2 3 4 5 6 7            position 0 sees "o" alone and predicts "f"

Windows lie side by side from the start of each text, and the last of a text ends with it: each token is predicted
once, from those before it in its window. A position is the place in the window of the last token that is seen, from 0:
a token at position p is predicted from p + 1 tokens.

Texts that are shorter than a window count at its first positions alone, so bins are compared on long texts, where each
position has its share of every text.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from textwright.core.errors import InputError
from textwright.generation.scoring import ScoredText, score
from textwright.models.protocols import Decoder
from textwright.tokens import Tokenizer


@dataclass(frozen=True)
class PositionBin:
    """The mean loss at neighbouring positions."""

    first: int
    """The first position, from 0."""
    last: int
    """The last one, which is in it."""
    loss_nats: float
    """Mean of -log p(token), in nats."""
    num_tokens: int
    """Over so many tokens."""


@dataclass(frozen=True)
class LossByPosition:
    """The mean losses of all positions of a window."""

    bins: tuple[PositionBin, ...]
    """In order; those that no text reaches are left out."""
    window: int
    """Tokens the model saw at most."""

    def as_json(self) -> list[dict[str, Any]]:
        """Of each bin ``from``, ``to`` (which is in it), ``loss_nats``, ``num_tokens``."""
        return [
            {"from": one.first, "to": one.last, "loss_nats": one.loss_nats, "num_tokens": one.num_tokens}
            for one in self.bins
        ]


def loss_by_position(
    model: Decoder,
    tokenizer: Tokenizer,
    texts: Iterable[str],
    *,
    window: int | None = None,
    bins: Sequence[int] | None = None,
    rows: int = 8,
    progress: Callable[[int], None] | None = None,
) -> LossByPosition:
    """The mean loss at positions of windows that lie side by side.

    Args:
        model: anything that predicts tokens; a module is put into evaluation mode.
        tokenizer: the model's.
        texts: as many and as long as you like; one is held at a time.
        window: tokens seen at most; the model's context length when not given.
        bins: where bins begin, from 0 on and in order; powers of two when not given: 0, 1, 2 to 3, 4 to 7, ...
        rows: windows computed at once. Does not change the result beyond rounding.
        progress: called with the bytes of text done so far.

    Raises:
        InputError: no text, a window that the model cannot have, or bins that are not in order.
    """
    window = model.context_length if window is None else window
    if not 1 <= window <= model.context_length:
        raise InputError(f"a window of {window}", expected=f"1 to {model.context_length}, the model's context length")
    starts = _checked(bins, window)
    total, count = torch.zeros(window, dtype=torch.float64), torch.zeros(window, dtype=torch.int64)
    num_bytes = 0
    for text in texts:
        ids = [*tokenizer.before_text, *tokenizer.encode(text)]
        for scores in score(model, _windows(ids, window), batch_size=rows):
            size = len(scores.logprobs)
            total[:size] -= scores.logprobs.double().cpu()
            count[:size] += 1
        num_bytes += len(text.encode())
        if progress is not None:
            progress(num_bytes)
    if not count.any():
        raise InputError("no text to evaluate", expected="at least one that is not empty")
    found = []
    for first, stop in zip(starts, [*starts[1:], window], strict=True):
        num_tokens = int(count[first:stop].sum())
        if num_tokens:
            found.append(PositionBin(first, stop - 1, float(total[first:stop].sum()) / num_tokens, num_tokens))
    return LossByPosition(tuple(found), window)


def _windows(ids: list[int], window: int) -> Iterator[ScoredText]:
    """Windows of one text; the first token of each is the last that was predicted before it."""
    for start in range(0, len(ids) - 1, window):
        yield ScoredText(ids[start : start + window + 1])


def _checked(bins: Sequence[int] | None, window: int) -> list[int]:
    """Where bins begin."""
    if bins is None:
        return [0, *(1 << power for power in range((window - 1).bit_length()))]
    starts = list(bins)
    is_in_order = starts[:1] == [0] and all(one < other for one, other in pairwise(starts))
    if not is_in_order or starts[-1] >= window:
        raise InputError(
            f"bins = {starts}", expected=f"positions in order, the first 0, all below the window, {window}"
        )
    return starts
