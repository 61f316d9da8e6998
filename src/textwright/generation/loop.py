"""Sampling, and greedy decoding: many rows side by side, by any decoder.

waiting rows ──prefill──> logits, state ──choose──> one token a row ──decode_one_token──┐
     ^                        ^                           │                             │
     └─ window full, no room ─│───────────────────────────┤                             │
                              └───────────────────────────│─────────────────────────────┘
                                                          └──> ended rows leave
"""

from collections import deque
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.generation.filters import Filter, apply_filters
from textwright.generation.request import SamplingConfig
from textwright.generation.row import Row
from textwright.generation.sampling import draw, likeliest
from textwright.generation.token_report import report_tokens
from textwright.models.protocols import Decoder, DecodeState

MOST_ROWS, MOST_ROWS_ON_A_CPU = 256, 64
STATE_BYTES = 2 << 30
READ_TOKENS = 2048


@torch.inference_mode()
def write(
    decoder: Decoder,
    rows: Sequence[Row],
    sampling: SamplingConfig,
    filters: Sequence[Filter],
    *,
    vocab_size: int,
    most_rows: int | None = None,
    state_bytes: int = STATE_BYTES,
) -> None:
    """Write all rows to their end. A row that has ended makes room for the next that waits.

    Args:
        decoder: a model in evaluation mode, or an engine.
        rows: open rows.
        sampling: how to choose.
        filters: what is done to logits first, in this order.
        vocab_size: tokens that may be chosen: a model may have more outputs than there are tokens.
        most_rows: rows side by side; as the device likes when not given.
        state_bytes: about how much memory the state may take. A state above it sends half of its rows back to
            wait (one row always stays); it can have doubled by then.
    """
    context, most_rows = decoder.context_length, most_rows or most_rows_on(decoder.device)
    waiting, live = deque(rows), list[Row]()
    state, logits = decoder.empty_cache(0), torch.empty(0, decoder.vocab_size, device=decoder.device)
    while waiting or live:
        while waiting and len(live) < most_rows and state.size_bytes < state_bytes:
            entering = take(waiting, most_rows - len(live), context)
            their_logits, their_state = prefill(decoder, [row.window(context) for row in entering])
            live, state, logits = live + entering, state.concat(their_state), torch.cat([logits, their_logits])

        started_at = [row.starts_at(context) for row in live]
        choose(logits[:, :vocab_size], live, sampling, filters)

        is_full = [row.starts_at(context) > start for row, start in zip(live, started_at, strict=True)]
        stay = [index for index, row in enumerate(live) if row.is_open and not is_full[index]]
        if state.size_bytes > state_bytes and len(stay) > 1:
            most_rows = len(stay) // 2
            stay = stay[:most_rows]
        staying = set(stay)
        waiting.extendleft(reversed([row for index, row in enumerate(live) if row.is_open and index not in staying]))
        if len(stay) < len(live):
            live, state, logits = [live[index] for index in stay], state.select(stay), logits[stay]
        if live:
            logits, state = decode_one_token(decoder, [row.ids[-1] for row in live], state)


def most_rows_on(device: torch.device) -> int:
    """Rows side by side."""
    return MOST_ROWS_ON_A_CPU if device.type == "cpu" else MOST_ROWS


def take(waiting: deque[Row], most_rows: int, context_length: int) -> list[Row]:
    """The next rows to read together: as many as one reading of ``READ_TOKENS`` holds, and at least one."""
    taken: list[Row] = []
    different: set[tuple[int, ...]] = set()
    while waiting and len(taken) < most_rows:
        different.add(tuple(waiting[0].window(context_length)))
        if taken and len(different) * max(map(len, different)) > READ_TOKENS:
            break
        taken.append(waiting.popleft())
    return taken


def prefill(decoder: Decoder, windows: Sequence[Sequence[int]]) -> tuple[Float[Tensor, "rows vocabulary"], DecodeState]:
    """Read texts of different lengths from an empty state, the same text only once.

    Returns:
        The float32 logits after each text's last token, and the state.
    """
    place = {window: index for index, window in enumerate(dict.fromkeys(map(tuple, windows)))}
    ids, lengths = side_by_side(list(place), decoder.device)
    hidden, state = decoder.extend(ids, lengths, decoder.empty_cache(len(place)))
    last = hidden[torch.arange(len(place), device=hidden.device), lengths - 1]  # [rows, width]
    logits = decoder.logits(last).float()
    if len(place) == len(windows):
        return logits, state
    chosen = [place[tuple(window)] for window in windows]
    return logits[chosen], state.select(chosen)


def decode_one_token(
    decoder: Decoder, token_ids: Sequence[int], state: DecodeState
) -> tuple[Float[Tensor, "rows vocabulary"], DecodeState]:
    """Read one more token in each row: the float32 logits after it, and the state."""
    ids = torch.tensor(token_ids, device=decoder.device)[:, None]  # [rows, 1]
    hidden, state = decoder.extend(ids, torch.ones_like(ids[:, 0]), state)
    return decoder.logits(hidden[:, 0]).float(), state


def choose(
    logits: Float[Tensor, "rows vocabulary"], rows: Sequence[Row], sampling: SamplingConfig, filters: Sequence[Filter]
) -> None:
    """Choose the next token of each row, and hand it over."""
    filtered = apply_filters(logits, filters, [row.written for row in rows])
    if sampling.temperature == 0:
        ids = likeliest(filtered)
    else:
        ids = draw(filtered.softmax(dim=-1), [row.uniform() for row in rows])
    hand_over(rows, ids, logits, filtered, sampling)


def hand_over(
    rows: Sequence[Row],
    ids: Int[Tensor, " rows"],
    logits: Float[Tensor, "rows vocabulary"],
    filtered: Float[Tensor, "rows vocabulary"],
    sampling: SamplingConfig,
) -> None:
    """Give each row its chosen token, with its log-probability as the model saw it and the report that was asked for.

    Args:
        rows: a row may come several times; what comes after its end is left out.
        ids: chosen.
        logits: as the model saw them.
        filtered: after the filters.
        sampling: whether reports are wanted.
    """
    log_p = logits.log_softmax(dim=1).gather(1, ids[:, None])[:, 0].tolist()
    reports = report_tokens(logits, filtered, ids, sampling.top_logprobs) if sampling.top_logprobs is not None else None
    for index, (row, token_id) in enumerate(zip(rows, ids.tolist(), strict=True)):
        if row.is_open:
            row.push(token_id, log_p[index], reports[index] if reports else None)


def side_by_side(
    texts: Sequence[Sequence[int]], device: torch.device
) -> tuple[Int[Tensor, "rows time"], Int[Tensor, " rows"]]:
    """Ids of different lengths as one tensor, and their lengths. The places left over repeat a row's first id."""
    longest = max(map(len, texts))
    ids = [[*text, *[text[0]] * (longest - len(text))] for text in texts]
    return torch.tensor(ids, device=device), torch.tensor([len(text) for text in texts], device=device)
