"""What is done to logits before a token is chosen: pure functions, one row as the next, in one stated order.

    logits -> constraint -> logit bias -> bad words -> no repeated n-gram -> minimum length    what may be said at all
           -> repetition penalty -> presence and frequency penalty                          what is less welcome
           -> temperature -> top-k -> top-p -> min-p -> typical-p                           what chance may choose from
           -> choose

Tokens that are ruled out get minus infinity. A row always keeps one: bad words and n-grams never rule out the end
token, so a text that may not go on ends (and where a constraint or the minimum length rules that out, ends all the
same); top-k, top-p and min-p keep the likeliest of what is left, typical-p the most typical. A processor that is not
asked for is not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from textwright.generation.processors.bad_words import make_bad_words
from textwright.generation.processors.base import Logits, LogitsProcessor, MakeProcessor
from textwright.generation.processors.constraint import make_constrain, make_eos_fallback
from textwright.generation.processors.logit_bias import make_logit_bias
from textwright.generation.processors.min_new_tokens import make_min_new_tokens
from textwright.generation.processors.repetition import (
    make_count_penalties,
    make_no_repeat_ngram,
    make_repetition_penalty,
)
from textwright.generation.processors.truncation import (
    make_min_p,
    make_temperature,
    make_top_k,
    make_top_p,
    make_typical_p,
)
from textwright.generation.request import SamplingConfig
from textwright.generation.token_history import TokenHistory
from textwright.tokens.tokenizer import Tokenizer

# In the order in which they work. A new processor is a file and a row here.
PROCESSORS: tuple[MakeProcessor, ...] = (
    make_constrain,
    make_logit_bias,
    make_bad_words,
    make_no_repeat_ngram,
    make_min_new_tokens,
    make_eos_fallback,
    make_repetition_penalty,
    make_count_penalties,
    make_temperature,
    make_top_k,
    make_top_p,
    make_min_p,
    make_typical_p,
)


@dataclass(frozen=True, eq=False)
class SamplingPipeline:
    """What becomes of logits; sequences that share one are sampled together.

    Attributes:
        processors: what is done to them first, in this order.
        draws: whether chance chooses, or the greatest is taken.
        top_logprobs: how many of the likeliest tokens are reported; None where no token is.
    """

    processors: tuple[LogitsProcessor, ...] = ()
    draws: bool = True
    top_logprobs: int | None = None

    @classmethod
    def of(cls, sampling: SamplingConfig, tokenizer: Tokenizer) -> Self:
        """As ``sampling`` asks for it.

        Raises:
            InputError: a bias for an id that is no token.
        """
        return cls(make_processors(sampling, tokenizer), sampling.temperature > 0, sampling.top_logprobs)


def make_processors(sampling: SamplingConfig, tokenizer: Tokenizer) -> tuple[LogitsProcessor, ...]:
    """The processors that ``sampling`` asks for, in their order.

    Raises:
        InputError: a bias for an id that is no token.
    """
    found = (make(sampling, tokenizer) for make in PROCESSORS)
    return tuple(one for one in found if one is not None)


def apply_processors(
    logits: Logits, processors: Sequence[LogitsProcessor], histories: Sequence[TokenHistory]
) -> Logits:
    """The logits (float32) after all processors."""
    for one in processors:
        logits = one(logits, histories)
    return logits
