"""Makes single tokens likelier or less likely."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.core.errors import InputError
from textwright.generation.processors.base import Logits, LogitsProcessor
from textwright.generation.request import SamplingConfig
from textwright.tokens.tokenizer import Tokenizer


def add_bias(logits: Logits, ids: Int[Tensor, " biased"], bias: Float[Tensor, " biased"]) -> Logits:
    """Make single tokens likelier (above 0) or less likely (below 0).

    Args:
        ids: different ones.
        bias: added to their logits, in nats.
    """
    return logits.index_add(-1, ids, bias.expand(len(logits), -1))


def make_logit_bias(sampling: SamplingConfig, tokenizer: Tokenizer) -> LogitsProcessor | None:
    if not sampling.logit_bias:
        return None
    for token_id in sampling.logit_bias:
        if not 0 <= token_id < tokenizer.vocab_size:
            raise InputError(
                f"logit_bias for token {token_id}",
                expected=f"ids of tokens, 0 to {tokenizer.vocab_size - 1:,}",
                fix="`textwright tokenizer inspect` shows the ids of a text",
            )
    ids, bias = torch.tensor([*sampling.logit_bias]), torch.tensor([*sampling.logit_bias.values()])
    return lambda logits, _: add_bias(logits, ids.to(logits.device), bias.to(logits))
