"""Rules out the end of a text until it holds so many tokens."""

from collections.abc import Sequence

from textwright.generation.processors.base import RULED_OUT, Logits, LogitsProcessor
from textwright.generation.request import SamplingConfig
from textwright.generation.token_history import TokenHistory
from textwright.tokens.tokenizer import Tokenizer


def block_end(logits: Logits, histories: Sequence[TokenHistory], min_new_tokens: int, end_ids: Sequence[int]) -> Logits:
    """Rule out the tokens that end a text where it holds fewer than ``min_new_tokens``, the prompt left aside."""
    short = [index for index, history in enumerate(histories) if history.num_new_tokens < min_new_tokens]
    if not short:
        return logits
    logits = logits.clone()
    for index in short:
        logits[index, end_ids] = RULED_OUT
    return logits


def make_min_new_tokens(sampling: SamplingConfig, tokenizer: Tokenizer) -> LogitsProcessor | None:
    """See ``SamplingConfig.min_new_tokens``."""
    count, end_ids = sampling.min_new_tokens, [*tokenizer.end_ids, *sampling.stop_token_ids]
    if not count:
        return None
    return lambda logits, histories: block_end(logits, histories, count, end_ids)
