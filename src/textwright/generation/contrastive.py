"""Contrastive search: of the likeliest tokens, the one that is least like what has been said.

::

    logits ──filters──> the k likeliest ──read each, as k rows──> k hidden states
                             │ probability                             │ greatest cosine with those before
                             └──────> (1 - alpha) p - alpha cosine <───┘
                                                │ greatest
                          token, its logits, its state, its hidden state ──> next step
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from textwright.generation.filters import Filter, apply_filters
from textwright.generation.loop import hand_over, most_rows_on, side_by_side, take
from textwright.generation.request import SamplingConfig
from textwright.generation.row import Row, check_fits
from textwright.generation.sampling import likeliest
from textwright.models.protocols import Decoder, DecodeState

NUM_CANDIDATES = 4
"""Where ``top_k`` is not given."""


@dataclass
class Reading:
    """What is known of rows that are being written.

    Attributes:
        rows: open ones.
        logits: of each row's next token, float32.
        directions: the hidden states of each row's tokens, float32, each of length 1.
        state: the decoder's.
    """

    rows: list[Row]
    logits: Float[Tensor, "rows vocabulary"]
    directions: list[Tensor]  # each [tokens, width]
    state: DecodeState


@torch.inference_mode()
def write(
    decoder: Decoder, rows: Sequence[Row], sampling: SamplingConfig, filters: Sequence[Filter], *, vocab_size: int
) -> None:
    """Write all rows to their end.

    Args:
        decoder: a model in evaluation mode, or an engine.
        rows: open rows.
        sampling: how to choose.
        filters: what is done to logits first, in this order.
        vocab_size: tokens that may be chosen: a model may have more outputs than there are tokens.

    Raises:
        InputError: a prompt and its new tokens are more than the context holds, or logits are not finite.
    """
    check_fits(rows, sampling, decoder.context_length)
    num_candidates = min(sampling.top_k or NUM_CANDIDATES, vocab_size)
    waiting = deque(rows)
    while waiting:
        together = take(waiting, max(1, most_rows_on(decoder.device) // num_candidates), decoder.context_length)
        reading = read(decoder, together, vocab_size)
        while reading.rows:
            reading = choose(decoder, reading, sampling, filters, num_candidates)


def read(decoder: Decoder, rows: Sequence[Row], vocab_size: int) -> Reading:
    """Read the prompts."""
    ids, lengths = side_by_side([row.ids for row in rows], decoder.device)
    hidden, state = decoder.extend(ids, lengths, decoder.empty_cache(len(rows)))
    last = hidden[torch.arange(len(rows), device=hidden.device), lengths - 1]  # [rows, width]
    directions = [normalize(hidden[index, :length].float(), dim=-1) for index, length in enumerate(lengths.tolist())]
    return Reading(list(rows), decoder.logits(last).float()[:, :vocab_size], directions, state)


def choose(
    decoder: Decoder, reading: Reading, sampling: SamplingConfig, filters: Sequence[Filter], num_candidates: int
) -> Reading:
    """Write one token in each row; what is known then of the rows that are still open.

    Source: Su et al. 2022 (arXiv:2202.06417), equation 5.
    """
    rows, logits = reading.rows, reading.logits
    filtered = apply_filters(logits, filters, [row.written for row in rows])
    likeliest(logits)  # refuses what is not a number
    p, candidates = filtered.softmax(dim=-1).topk(num_candidates, dim=-1)  # [rows, candidates]
    hidden, state = _try(decoder, candidates, reading.state)
    directions = normalize(hidden.float(), dim=-1)  # [rows, candidates, width]
    likeness = torch.stack(
        [(new @ old.T).amax(dim=-1) for new, old in zip(directions, reading.directions, strict=True)]
    )  # [rows, candidates]
    assert sampling.penalty_alpha is not None
    scores = torch.lerp(p, -likeness, sampling.penalty_alpha)
    # A filter has the last word, however new a token that it rules out would be.
    chosen = scores.masked_fill(filtered.gather(1, candidates) == -torch.inf, -torch.inf).argmax(dim=1)
    every = torch.arange(len(rows), device=chosen.device)
    hand_over(rows, candidates[every, chosen], logits, filtered, sampling)

    stay = [index for index, row in enumerate(rows) if row.is_open]
    kept = chosen[stay]
    places = torch.tensor(stay, dtype=torch.int64, device=kept.device)
    next_logits = decoder.logits(hidden[places, kept]).float()[:, : logits.shape[1]]
    known = [torch.cat([reading.directions[row], directions[row, chosen[row]][None]]) for row in stay]
    return Reading([rows[row] for row in stay], next_logits, known, state.select(places * num_candidates + kept))


def _try(
    decoder: Decoder, candidates: Int[Tensor, "rows candidates"], state: DecodeState
) -> tuple[Float[Tensor, "rows candidates width"], DecodeState]:
    """Read each candidate after its row: their hidden states, and the state with a row for each."""
    num_rows, count = candidates.shape
    copies = torch.arange(num_rows, device=candidates.device).repeat_interleave(count)
    ids = candidates.reshape(-1, 1)  # [rows x candidates, 1]
    hidden, state = decoder.extend(ids, torch.ones_like(ids[:, 0]), state.select(copies))
    return hidden.reshape(num_rows, count, -1), state
