"""Beam search: the likeliest texts, found by carrying the best few beginnings along.

::

    live beams ──> logits ──log-softmax, filters, + score──> the best 2 x num_beams tokens of all beams
        ^                                                       │
        │                        goes on: the best num_beams ───┤
        └───────────────────────────────────────────────────────┤
                                  ends, in the best num_beams: ──┴──> ended beams, the best num_beams of them

A prompt is done when no live beam can beat the worst of its ended beams any more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.generation.filters import Filter, apply_filters
from textwright.generation.loop import decode_one_token, prefill
from textwright.generation.request import SamplingConfig, TokenReport
from textwright.generation.row import Row, check_fits
from textwright.generation.sampling import likeliest
from textwright.generation.token_report import report_tokens
from textwright.models.protocols import Decoder

Choice = tuple[int, float, TokenReport | None]
"""What ``Row.push`` takes."""


@dataclass(frozen=True)
class Beam:
    """A text that the search has come upon.

    Attributes:
        row: a fork of the row that is to be written; it knows whether the text has ended.
        choices: how it came about, token by token.
        score: the sum of its log-probabilities after the filters, in nats.
        came_from: the place of the beam that it continues.
    """

    row: Row
    choices: tuple[Choice, ...] = ()
    score: float = 0.0
    came_from: int = 0

    def ranked_by(self, length_penalty: float) -> float:
        """What beams of different lengths are compared by; the higher, the better."""
        return self.score / math.pow(len(self.choices), length_penalty)


@torch.inference_mode()
def write(
    decoder: Decoder, rows: Sequence[Row], sampling: SamplingConfig, filters: Sequence[Filter], *, vocab_size: int
) -> None:
    """Write all rows to their end, one prompt after another: its rows get the best texts, the best one first.

    Where there are fewer different texts than rows, the last one comes again. Text is shown when the search is over.

    Args:
        decoder: a model in evaluation mode, or an engine.
        rows: open rows, those of a prompt next to each other: ``sampling.n`` each.
        sampling: how wide to search, and how to weigh length.
        filters: what is done to log-probabilities first, in this order.
        vocab_size: tokens that may be chosen: a model may have more outputs than there are tokens.

    Raises:
        InputError: a prompt and its new tokens are more than the context holds, or logits are not finite.
    """
    check_fits(rows, sampling, decoder.context_length)
    for first in range(0, len(rows), sampling.n):
        same = rows[first : first + sampling.n]
        assert all(row.ids == same[0].ids for row in same), "the rows of a prompt stand together"
        beams = search(decoder, same[0], sampling, filters, vocab_size=vocab_size)
        for index, row in enumerate(same):
            for choice in beams[min(index, len(beams) - 1)].choices:
                row.push(*choice)


@torch.inference_mode()
def search(
    decoder: Decoder, row: Row, sampling: SamplingConfig, filters: Sequence[Filter], *, vocab_size: int
) -> list[Beam]:
    """The best continuations of a row, the best first: at most ``sampling.num_beams``, and at least one.

    It finds what transformers finds with ``early_stopping=False``: a live beam is taken to rank no better later than
    it does now, which is a guess where the length penalty helps long texts.

    Source: Graves 2012 (arXiv:1211.3711), section 2.5; length penalty and the end of the search as in transformers.
    """
    width, penalty = sampling.num_beams, sampling.length_penalty
    logits, state = prefill(decoder, [row.ids])
    live, ended = [Beam(row.fork())], list[Beam]()
    while True:
        found = continuations(live, logits[:, :vocab_size], 2 * width, sampling, filters)
        # What ends beyond the best is passed over: only a text that stands among the best may end the search.
        ended += [beam for beam in found[:width] if not beam.row.is_open]
        ended = sorted(ended, key=lambda beam: beam.ranked_by(penalty), reverse=True)[:width]
        live = [beam for beam in found if beam.row.is_open][:width]
        is_full = len(ended) == width
        if not live or (is_full and live[0].ranked_by(penalty) <= ended[-1].ranked_by(penalty)):
            return ended
        state = state.select([beam.came_from for beam in live])
        logits, state = decode_one_token(decoder, [beam.row.ids[-1] for beam in live], state)


def continuations(
    beams: Sequence[Beam],
    logits: Float[Tensor, "beams vocabulary"],
    count: int,
    sampling: SamplingConfig,
    filters: Sequence[Filter],
) -> list[Beam]:
    """The ``count`` best beams that are one token longer, the best first; fewer where filters leave fewer."""
    log_p = logits.log_softmax(dim=-1)
    filtered = apply_filters(log_p, filters, [beam.row.written for beam in beams])
    likeliest(log_p)  # refuses what is not a number
    totals = filtered + filtered.new_tensor([beam.score for beam in beams])[:, None]
    best = totals.flatten().topk(min(count, totals.numel()))
    best_places = best.indices[best.values.isfinite()]
    came_from, ids = best_places // totals.shape[1], best_places % totals.shape[1]
    reports: list[TokenReport] | list[None] = [None] * len(ids)
    if sampling.top_logprobs is not None:
        reports = report_tokens(log_p[came_from], filtered[came_from], ids, sampling.top_logprobs)
    numbers = zip(came_from.tolist(), ids.tolist(), log_p[came_from, ids].tolist(), best.values.tolist(), strict=False)
    return [
        _continued(beams[source], (token_id, its_log_p, report), score, source)
        for (source, token_id, its_log_p, score), report in zip(numbers, reports, strict=True)
    ]


def _continued(beam: Beam, choice: Choice, score: float, came_from: int) -> Beam:
    row = beam.row.fork()
    row.push(*choice)
    return Beam(row, (*beam.choices, choice), score, came_from)
