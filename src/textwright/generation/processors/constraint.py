"""Rules out what a constraint does not allow."""

from collections.abc import Sequence

import numpy as np
import torch

from textwright.generation.processors.base import Logits, LogitsProcessor
from textwright.generation.request import SamplingConfig
from textwright.generation.token_history import TokenHistory
from textwright.tokens.tokenizer import Tokenizer

EOS_FALLBACK = -1e4  # the worst of logits: a search prefers every text that meets its constraint


_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_PENALTIES = np.where(_BITS == 1, np.float32(0), np.float32(-np.inf))  # of the eight tokens of each byte


def constrain(logits: Logits, histories: Sequence[TokenHistory]) -> Logits:
    """Rule out the tokens that a row's constraint does not allow. An open row is always left with one."""
    every = np.full(-(-logits.shape[1] // 8), 255, dtype=np.uint8)
    packed = np.stack(
        [every if history.constraint is None else history.constraint.bits[: len(every)] for history in histories]
    )
    # In NumPy, eight tokens at a time: waking torch's threads, or choosing token by token, costs more than the work.
    penalties = np.take(_PENALTIES, packed, axis=0).reshape(len(histories), -1)[:, : logits.shape[1]]
    return torch.from_numpy(logits.numpy(force=True) + penalties).to(logits.device)


def allow_eos_if_empty(logits: Logits, eos_id: int) -> Logits:
    """Where nothing is left, leave the end token."""
    left = logits.clone()
    left[logits.isneginf().all(dim=-1), eos_id] = EOS_FALLBACK
    return left


def make_constrain(sampling: SamplingConfig, _: Tokenizer) -> LogitsProcessor | None:
    """Where the text must be something."""
    return constrain if sampling.constrained_by is not None else None


def make_eos_fallback(sampling: SamplingConfig, tokenizer: Tokenizer) -> LogitsProcessor | None:
    """Where several rule tokens out together; alone, each of them leaves something."""
    blocks = sampling.bad_words or sampling.no_repeat_ngram_size
    if sum(map(bool, (sampling.constrained_by, blocks, sampling.min_new_tokens))) < 2:
        return None
    eos_id = tokenizer.end_id
    return lambda logits, _: allow_eos_if_empty(logits, eos_id)
