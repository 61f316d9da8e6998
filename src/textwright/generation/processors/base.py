"""What a logits processor is: one thing done to logits before a token is chosen, row by row."""

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float
from torch import Tensor

from textwright.generation.request import SamplingConfig
from textwright.generation.token_history import TokenHistory
from textwright.tokens.tokenizer import Tokenizer

Logits = Float[Tensor, "rows vocabulary"]
RULED_OUT = -math.inf
"""The logit of a token that may not be chosen."""


@runtime_checkable
class LogitsProcessor(Protocol):
    """One thing done to logits."""

    def __call__(self, logits: Logits, histories: Sequence[TokenHistory], /) -> Logits:
        """New logits; ``histories`` are what was written so far, one a row."""


class MakeProcessor(Protocol):
    """A row of the table of processors."""

    def __call__(self, sampling: SamplingConfig, tokenizer: Tokenizer, /) -> LogitsProcessor | None:
        """The processor, as ``sampling`` asks for it; None where it does not."""


def mask_out(logits: Logits, ruled_out: Bool[Tensor, "rows vocabulary"]) -> Logits:
    """The logits without some tokens."""
    return logits.masked_fill(ruled_out, RULED_OUT)
