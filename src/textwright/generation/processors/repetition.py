"""What a text holds already is ruled out, or less welcome."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.generation.processors.base import RULED_OUT, Logits, LogitsProcessor
from textwright.generation.request import SamplingConfig
from textwright.generation.token_history import TokenHistory
from textwright.tokens.tokenizer import Tokenizer


def block_repeated_ngrams(logits: Logits, histories: Sequence[TokenHistory], n: int, eos_id: int) -> Logits:
    """Rule out tokens with which the last n tokens of a text would be there a second time.

    Args:
        histories: prompts and texts.
        n: at least 1.
        eos_id: never ruled out, so that a text of which every continuation is a repeat can end.

    Source: Paulus et al. 2017 (arXiv:1705.04304), section 2.5, for n = 3.
    """
    logits = logits.clone()
    for index, history in enumerate(histories):
        logits[index, [token_id for token_id in history.repeats(n) if token_id != eos_id]] = RULED_OUT
    return logits


def penalise_repetition(logits: Logits, seen_ids: Int[Tensor, "rows seen"], penalty: float) -> Logits:
    """Make tokens that have been seen less likely (penalty above 1) or likelier (below 1).

    Args:
        seen_ids: the ids in each row's prompt and text. An id may come often: it counts once.
        penalty: positive logits are divided by it, negative ones multiplied.

    Source: Keskar et al. 2019 (arXiv:1909.05858), section 4.1; the case of negative logits as in transformers.
    """
    seen_logits = logits.gather(-1, seen_ids)
    return logits.scatter(-1, seen_ids, torch.where(seen_logits < 0, seen_logits * penalty, seen_logits / penalty))


def penalise_counts(
    logits: Logits, counts: Float[Tensor, "rows vocabulary"], presence: float, frequency: float
) -> Logits:
    """Make tokens less likely (penalties above 0) the more often they have been written.

    Args:
        counts: how often each token has been written; see ``count_new_ids``.
        presence: taken once from the logits of what has been written at all.
        frequency: taken for each time.

    Source: OpenAI's API reference, ``presence_penalty`` and ``frequency_penalty``.
    """
    return logits - counts * frequency - (counts > 0) * presence


def seen_ids(histories: Sequence[TokenHistory], device: torch.device) -> Int[Tensor, "rows seen"]:
    """The different ids of each row's prompt and text; a row of fewer repeats its first."""
    seen = [history.seen_ids() for history in histories]
    longest = max(map(len, seen))
    return torch.from_numpy(np.stack([np.append(ids, np.repeat(ids[:1], longest - len(ids))) for ids in seen])).to(
        device
    )


def count_new_ids(histories: Sequence[TokenHistory], logits: Logits) -> Float[Tensor, "rows vocabulary"]:
    """How often each row's text holds each token, the prompt left aside; where the logits are."""
    counted = [history.counts_of_new() for history in histories]
    places = np.repeat(np.arange(len(histories)), [len(ids) for ids, _ in counted])
    ids, times = (np.concatenate(parts) for parts in zip(*counted, strict=True))
    where = tuple(torch.from_numpy(part).to(logits.device) for part in (places, ids))
    return torch.zeros_like(logits).index_put_(where, torch.from_numpy(times).to(logits), accumulate=True)


def make_no_repeat_ngram(sampling: SamplingConfig, tokenizer: Tokenizer) -> LogitsProcessor | None:
    n, eos_id = sampling.no_repeat_ngram_size, tokenizer.end_id
    if n is None:
        return None
    return lambda logits, histories: block_repeated_ngrams(logits, histories, n, eos_id)


def make_repetition_penalty(sampling: SamplingConfig, _: Tokenizer) -> LogitsProcessor | None:
    penalty = sampling.repetition_penalty
    if penalty == 1:
        return None
    return lambda logits, histories: penalise_repetition(logits, seen_ids(histories, logits.device), penalty)


def make_count_penalties(sampling: SamplingConfig, _: Tokenizer) -> LogitsProcessor | None:
    presence, frequency = sampling.presence_penalty, sampling.frequency_penalty
    if presence == 0 and frequency == 0:
        return None
    return lambda logits, histories: penalise_counts(logits, count_new_ids(histories, logits), presence, frequency)
